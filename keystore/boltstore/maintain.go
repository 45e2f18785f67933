package boltstore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"

	"github.com/cohort-iot/cohort/keystore"
	"github.com/cohort-iot/cohort/keystore/internal/guard"
)

// Check reads every page of the file and compares it with the tree and the list of free pages. ErrCorrupt with the first
// faults found. It takes as long as reading the file does; commits go on meanwhile. What the records hold is checked by
// keystore.Store.Check.
func (b *Backend) Check() error {
	return b.db.View(func(tx *bbolt.Tx) error {
		var found []error
		err := guarded(func() {
			for err := range tx.Check() {
				if len(found) < 10 {
					found = append(found, err)
				}
			}
		})
		if err == nil && len(found) > 0 {
			err = fmt.Errorf("%w: %s: %w", keystore.ErrCorrupt, b.path, errors.Join(found...))
		}
		return err
	})
}

// compactBatch is the size of one transaction of the copy, in bytes.
const compactBatch = 4 << 20

// Compact writes the file anew without its free pages, and returns the sizes before and after, in bytes. The store must
// not be open anywhere: keystore.ErrHeld. An interruption leaves the old file.
func Compact(path string) (before, after int64, err error) {
	b, err := Open(path)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	if before, err = b.Size(); err != nil {
		return 0, 0, err
	}
	temp := path + ".new"
	if err := os.Remove(temp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return before, 0, fmt.Errorf("keystore: compact: %w", err)
	}
	if err := compactTo(b.db, temp); err != nil {
		return before, 0, errors.Join(fmt.Errorf("keystore: compact %s: %w", path, err), os.Remove(temp))
	}
	fi, err := os.Stat(temp)
	if err != nil {
		return before, 0, fmt.Errorf("keystore: compact: %w", err)
	}
	if err := os.Rename(temp, path); err != nil {
		return before, 0, fmt.Errorf("keystore: compact: %w", err)
	}
	if err := guard.SyncDir(filepath.Dir(path)); err != nil {
		return before, 0, fmt.Errorf("keystore: compact: %w", err)
	}
	return before, fi.Size(), nil
}

func compactTo(src *bbolt.DB, path string) error {
	dst, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second, FreelistType: bbolt.FreelistMapType})
	if err != nil {
		return err
	}
	return errors.Join(bbolt.Compact(dst, src, compactBatch), dst.Sync(), dst.Close())
}
