//go:build !unix

package endpoint

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
)

// reuseAddr does nothing where there are no group sockets.
func reuseAddr(syscall.RawConn) error { return nil }

// bindGroup refuses: elsewhere a socket cannot be bound to a group's address.
func bindGroup(netip.AddrPort, *net.Interface) (*net.UDPConn, error) {
	return nil, errors.ErrUnsupported
}
