// Package disk replaces small files so that after a crash the old or the new contents are there, and nothing else.
package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Disk is one directory. Its interface is narrow so that a simulated disk can forget what was not synced.
type Disk interface {
	// Read returns a whole file, fs.ErrNotExist when there is none. Files longer than limit bytes are an error.
	Read(name string, limit int64) ([]byte, error)
	// Create makes an empty file with mode 0600, in place of any that was there.
	Create(name string) (File, error)
	Rename(from, to string) error
	// Sync makes renames durable.
	Sync() error
}

// File is being written.
type File interface {
	io.WriteCloser
	Sync() error
}

// ErrUnchanged says that a file was certainly not replaced.
var ErrUnchanged = errors.New("file not replaced")

// Replace writes data to the file, durably. An error that wraps ErrUnchanged promises that the old contents are still
// there; after any other error the old or the new are. The temporary file is name + ".new"; what a crash leaves of it is
// overwritten by the next Replace.
func Replace(d Disk, name string, data []byte) error {
	temp := name + ".new"
	if err := write(d, temp, data); err != nil {
		return fmt.Errorf("%w: write %s: %w", ErrUnchanged, temp, err)
	}
	if err := d.Rename(temp, name); err != nil {
		return fmt.Errorf("rename %s: %w", temp, err)
	}
	if err := d.Sync(); err != nil {
		return fmt.Errorf("sync directory of %s: %w", name, err)
	}
	return nil
}

func write(d Disk, name string, data []byte) error {
	f, err := d.Create(name)
	if err != nil {
		return err
	}
	if _, err = f.Write(data); err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// Dir is a directory of the operating system.
type Dir string

var _ Disk = Dir("")

// Read implements Disk.
func (d Dir) Read(name string, limit int64) ([]byte, error) {
	f, err := os.Open(filepath.Join(string(d), name))
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = &fs.PathError{Op: "read", Path: name, Err: errors.New("file too long")}
	}
	return b, errors.Join(err, f.Close())
}

// Create implements Disk.
func (d Dir) Create(name string) (File, error) {
	path := filepath.Join(string(d), name)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
}

// Rename implements Disk.
func (d Dir) Rename(from, to string) error {
	return os.Rename(filepath.Join(string(d), from), filepath.Join(string(d), to))
}

// Sync implements Disk.
func (d Dir) Sync() error {
	f, err := os.Open(string(d))
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
