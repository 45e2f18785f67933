package httpapi

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Listen makes the operator's socket. Its directory is made with mode 0700 if
// it is not there, and refused if others can enter it; the socket has mode 0600.
// A socket that nobody listens on any more is replaced, anything else is not.
func Listen(path string) (net.Listener, error) {
	if len(path) > maxPath {
		return nil, fmt.Errorf("socket %s: the path is longer than %d bytes", path, maxPath)
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("socket directory: %w", err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("socket directory: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("socket directory %s has mode %04o, others can enter it: make it 0700", dir, mode)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Uid != uint32(os.Getuid()) && os.Getuid() != 0 {
		return nil, fmt.Errorf("socket directory %s belongs to uid %d", dir, st.Uid)
	}
	if err := removeStale(path); err != nil {
		return nil, err
	}
	ln, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("operator's socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil { // until here the directory keeps others out
		ln.Close()
		return nil, fmt.Errorf("operator's socket: %w", err)
	}
	return ln, nil
}

// removeStale removes a socket that is left from a process that ended.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("operator's socket: %w", err)
	}
	if info.Mode()&fs.ModeSocket == 0 {
		return fmt.Errorf("operator's socket: %s is there and is no socket", path)
	}
	c, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		c.Close()
		return fmt.Errorf("operator's socket: another process serves %s", path)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("operator's socket: %w", err)
	}
	return os.Remove(path)
}
