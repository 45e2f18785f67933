//go:build !unix

package endpoint

import (
	"errors"
	"syscall"
)

// reuseAddr refuses: elsewhere a socket cannot be bound to a group address.
func reuseAddr(_, _ string, _ syscall.RawConn) error {
	return errors.ErrUnsupported
}
