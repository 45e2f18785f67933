//go:build !unix

package guard

import (
	"errors"
	"fmt"
	"io/fs"
)

func owned(string, fs.FileInfo) error { return nil }

// Lock is not available on this system.
type Lock struct{}

// Acquire refuses: without locks two processes could use one store.
func Acquire(path string) (*Lock, error) {
	return nil, fmt.Errorf("keystore: lock %s: file locks are not supported on this system: %w", path, errors.ErrUnsupported)
}

// Close does nothing.
func (l *Lock) Close() error { return nil }
