package filestore

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/cohort-iot/cohort/keystore"
	"github.com/cohort-iot/cohort/keystore/internal/disk"
	"github.com/cohort-iot/cohort/keystore/internal/guard"
)

// DefaultMaxBytes bounds the file unless Options say otherwise.
const DefaultMaxBytes = 1 << 20

// Options of a file. The zero value is good for use.
type Options struct {
	// MaxBytes bounds the file; commits beyond it fail with ErrDiskFull. 0: DefaultMaxBytes.
	MaxBytes int
}

// Backend is a keystore.Backend over one file.
type Backend struct {
	disk disk.Disk
	name string
	max  int
	lock *guard.Lock

	commit sync.Mutex // one commit at a time

	mu    sync.RWMutex // guards the field below
	state *keystore.Memory
}

var _ keystore.Backend = (*Backend)(nil)

// Open opens the file, or makes it with the first commit. Errors: keystore.ErrInsecure, ErrHeld, ErrCorrupt.
func Open(path string) (*Backend, error) { return OpenWith(path, Options{}) }

// OpenWith is Open with options.
func OpenWith(path string, o Options) (*Backend, error) {
	if err := guard.Dir(path); err != nil {
		return nil, err
	}
	if _, err := guard.File(path); err != nil {
		return nil, err
	}
	lock, err := guard.Acquire(path)
	if err != nil {
		return nil, err
	}
	b, err := open(disk.Dir(filepath.Dir(path)), filepath.Base(path), o)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	b.lock = lock
	return b, nil
}

func open(d disk.Disk, name string, o Options) (*Backend, error) {
	if o.MaxBytes == 0 {
		o.MaxBytes = DefaultMaxBytes
	}
	b := &Backend{disk: d, name: name, max: o.MaxBytes, state: keystore.NewMemory()}
	// A bound that was lowered must not make the file unreadable.
	raw, err := d.Read(name, int64(max(o.MaxBytes, 64<<20)))
	if errors.Is(err, fs.ErrNotExist) {
		return b, nil
	}
	if err != nil {
		return nil, fmt.Errorf("keystore: %w", err)
	}
	batch, err := decode(raw)
	if err != nil {
		return nil, fmt.Errorf("%w (%s)", err, name)
	}
	if err := b.state.Apply(batch, keystore.Fence{}); err != nil {
		return nil, err
	}
	return b, nil
}

// View implements keystore.Backend.
func (b *Backend) View(fn func(r keystore.BackendReader) error) error { return b.current().View(fn) }

func (b *Backend) current() *keystore.Memory {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.state
}

// Apply implements keystore.Backend: it writes the whole file.
func (b *Backend) Apply(batch keystore.Batch, f keystore.Fence) error {
	b.commit.Lock()
	defer b.commit.Unlock()
	next := b.current().Clone()
	if err := next.Apply(batch, f); err != nil {
		return err
	}
	raw, err := encode(next)
	if err != nil {
		return fmt.Errorf("%w: %w", keystore.ErrNotApplied, err)
	}
	if len(raw) > b.max {
		return fmt.Errorf("%w: %w: %s would have %d bytes, at most %d", keystore.ErrDiskFull, keystore.ErrNotApplied, b.name, len(raw), b.max)
	}
	if err := disk.Replace(b.disk, b.name, raw); err != nil {
		return b.failure(err)
	}
	b.mu.Lock()
	b.state = next
	b.mu.Unlock()
	return nil
}

func (b *Backend) failure(err error) error {
	switch {
	case !errors.Is(err, disk.ErrUnchanged):
		return fmt.Errorf("keystore: commit: %w", err)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EFBIG):
		return fmt.Errorf("%w: %w: %w", keystore.ErrDiskFull, keystore.ErrNotApplied, err)
	}
	return fmt.Errorf("%w: %w", keystore.ErrNotApplied, err)
}

// Close implements keystore.Backend.
func (b *Backend) Close() error {
	if b.lock == nil {
		return nil
	}
	return b.lock.Close()
}
