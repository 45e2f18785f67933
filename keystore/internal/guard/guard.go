// Package guard keeps a data file to its owner and to one process: it checks the permissions of the file and its directory, and locks.
package guard

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/cohort-iot/cohort/keystore"
)

// Dir makes sure that the directory of the file exists, belongs to this user or root, and that nobody else can enter it.
// A missing one is made with mode 0700, if its parent exists.
func Dir(file string) error {
	dir := filepath.Dir(file)
	if err := os.Mkdir(dir, 0o700); err == nil {
		return SyncDir(filepath.Dir(dir))
	} else if !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("keystore: make data directory: %w", err)
	}
	fi, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("keystore: data directory: %w", err)
	}
	if !fi.IsDir() {
		return fmt.Errorf("keystore: data directory: %s is not a directory", dir)
	}
	return private(dir, fi, 0o700)
}

// File checks a file that holds data or keys; it may be absent, and then exists is false.
func File(file string) (exists bool, err error) {
	fi, err := os.Lstat(file)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("keystore: %w", err)
	}
	if !fi.Mode().IsRegular() {
		return true, fmt.Errorf("%w: %s is not a regular file; give the file itself", keystore.ErrInsecure, file)
	}
	return true, private(file, fi, 0o600)
}

func private(path string, fi fs.FileInfo, want fs.FileMode) error {
	if err := owned(path, fi); err != nil {
		return err
	}
	if mode := fi.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("%w: %s has mode %04o and is open to other users; run: chmod %04o %s", keystore.ErrInsecure, path, mode, want, quote(path))
	}
	return nil
}

func quote(path string) string {
	if strings.ContainsAny(path, " \t\n'\"\\$&;*?<>|(){}[]#~`!") {
		return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
	}
	return path
}

// SyncDir makes the names in a directory durable.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
