package boltstore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/cohort-iot/cohort/keystore"
	"github.com/cohort-iot/cohort/keystore/internal/guard"
)

// Options of a file. The zero value is good for use.
type Options struct {
	// MaxBytes bounds the data file; commits beyond it fail with ErrDiskFull. 0: no bound.
	MaxBytes int
}

// Backend is a keystore.Backend over a bbolt file.
type Backend struct {
	db   *bbolt.DB
	lock *guard.Lock
	path string
}

var _ keystore.Backend = (*Backend)(nil)

// bucket holds all records.
var bucket = []byte("records")

// mapSize is mapped at once, in bytes of address space, so that growth of the file seldom waits for readers.
const mapSize = 256 << 20

// growSize is by how much the file grows at a time, in bytes; each growth is one more flush.
const growSize = 1 << 20

// Open opens the file, or makes it. Errors: keystore.ErrInsecure, ErrHeld, ErrCorrupt.
func Open(path string) (*Backend, error) { return OpenWith(path, Options{}) }

// OpenWith is Open with options.
func OpenWith(path string, o Options) (_ *Backend, err error) {
	if err := guard.Dir(path); err != nil {
		return nil, err
	}
	exists, err := guard.File(path)
	if err != nil {
		return nil, err
	}
	lock, err := guard.Acquire(path)
	if err != nil {
		return nil, err
	}
	b := &Backend{lock: lock, path: path}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.Close())
		}
	}()
	perr := guarded(func() { b.db, err = openFile(path, o) })
	if err := errors.Join(perr, err); err != nil {
		return nil, openError(path, err)
	}
	if !exists {
		// The name of the new file must survive as well as its contents.
		if err := guard.SyncDir(filepath.Dir(path)); err != nil {
			return nil, fmt.Errorf("keystore: %w", err)
		}
	}
	return b, nil
}

func openFile(path string, o Options) (*bbolt.DB, error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{
		Timeout: time.Second, FreelistType: bbolt.FreelistMapType, InitialMmapSize: mapSize, MaxSize: o.MaxBytes, NoStatistics: true,
	})
	if err != nil {
		return nil, err
	}
	db.AllocSize = growSize
	err = db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(bucket)
		return err
	})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

func openError(path string, err error) error {
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return fmt.Errorf("%w: %s is locked by a program that is not this one", keystore.ErrHeld, path)
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrVersionMismatch), errors.Is(err, berrors.ErrChecksum):
		return fmt.Errorf("%w: %s is not a readable data file: %w", keystore.ErrCorrupt, path, err)
	case errors.Is(err, berrors.ErrMaxSizeReached), full(err):
		return fmt.Errorf("%w: %s: %w", keystore.ErrDiskFull, path, err)
	}
	return fmt.Errorf("keystore: open %s: %w", path, err)
}

// full tells whether space is missing. bbolt gives the cause of a failed growth as text only.
func full(err error) bool {
	for _, cause := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG, berrors.ErrMaxSizeReached} {
		if errors.Is(err, cause) {
			return true
		}
	}
	return strings.HasPrefix(err.Error(), "file resize error: ")
}

// View implements keystore.Backend over one read transaction.
func (b *Backend) View(fn func(r keystore.BackendReader) error) error {
	return b.db.View(func(tx *bbolt.Tx) error { return fn(reader{tx.Bucket(bucket)}) })
}

// Apply implements keystore.Backend: one transaction, two flushes of the file.
func (b *Backend) Apply(batch keystore.Batch, f keystore.Fence) error {
	applied := false // whether everything before the commit succeeded
	var err error
	perr := guarded(func() { err = b.update(batch, f, &applied) })
	if perr != nil {
		return perr // outcome unknown
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, keystore.ErrNotApplied):
		return err
	case full(err) && b.unchanged(f):
		return fmt.Errorf("%w: %w: %s: %w", keystore.ErrDiskFull, keystore.ErrNotApplied, b.path, err)
	case !applied:
		return fmt.Errorf("%w: %s: %w", keystore.ErrNotApplied, b.path, err)
	}
	return fmt.Errorf("keystore: commit to %s: %w", b.path, err)
}

func (b *Backend) update(batch keystore.Batch, f keystore.Fence, applied *bool) error {
	return b.db.Update(func(tx *bbolt.Tx) error {
		records := tx.Bucket(bucket)
		if err := f.Check(records.Get([]byte(f.Name))); err != nil {
			return err
		}
		for _, op := range batch {
			var err error
			if op.Value == nil {
				err = records.Delete([]byte(op.Name))
			} else {
				err = records.Put([]byte(op.Name), op.Value)
			}
			if err != nil {
				return err
			}
		}
		*applied = true
		return nil
	})
}

// unchanged tells whether the file is still as the fence wants it: bbolt writes its root page last, so that space missing before that
// leaves the state of before.
func (b *Backend) unchanged(f keystore.Fence) bool {
	return nil == b.View(func(r keystore.BackendReader) error {
		have, err := r.Get(f.Name)
		if err != nil && !errors.Is(err, keystore.ErrNotFound) {
			return err
		}
		return f.Check(have)
	})
}

// Close implements keystore.Backend.
func (b *Backend) Close() error {
	var err error
	if b.db != nil {
		err = b.db.Close()
	}
	return errors.Join(err, b.lock.Close())
}

// Path returns the path of the data file.
func (b *Backend) Path() string { return b.path }

// Size returns the size of the data file in bytes.
func (b *Backend) Size() (int64, error) {
	fi, err := os.Stat(b.path)
	if err != nil {
		return 0, fmt.Errorf("keystore: %w", err)
	}
	return fi.Size(), nil
}
