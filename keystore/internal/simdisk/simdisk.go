// Package simdisk is a directory in memory that forgets what was not synced, for crash tests.
//
// It stops at a chosen operation, and then gives every state that a disk may show after the crash: of the changes to the
// directory since its last sync any first part may have survived; of a file that was not synced since it was written,
// nothing, a part, the right length in zeros, or all.
package simdisk

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"

	"github.com/cohort-iot/cohort/keystore/internal/disk"
)

// ErrCrashed is the result of every operation from the crash on.
var ErrCrashed = errors.New("simdisk: crashed")

// Disk is the simulated directory.
type Disk struct {
	durable map[string]*inode // as after the last Sync
	pending []change          // since then, in order
	ops     int
	crashAt int
	// LoseFileSync and LoseDirSync plant defects: the sync says it was done and does nothing.
	LoseFileSync, LoseDirSync bool
}

type inode struct {
	data   []byte // as written
	synced []byte // as it certainly is on the disk; nil: never synced
	clean  bool   // data is synced
}

// change is one change to the directory: names set to an inode, or removed where it is nil.
type change struct {
	set map[string]*inode
}

var _ disk.Disk = (*Disk)(nil)

// New returns an empty disk that crashes at the n-th changing operation, from 1; 0: never.
func New(crashAt int) *Disk { return &Disk{durable: map[string]*inode{}, crashAt: crashAt} }

// CrashAt sets the operation at which the disk crashes.
func (d *Disk) CrashAt(n int) { d.crashAt = n }

// Ops returns how many changing operations there were.
func (d *Disk) Ops() int { return d.ops }

// Crashed tells whether the disk has stopped.
func (d *Disk) Crashed() bool { return d.crashAt > 0 && d.ops >= d.crashAt }

// step counts an operation and tells whether it is still done. The one at which the disk crashes is begun: its effect is
// pending, its result an error.
func (d *Disk) step(do func()) error {
	if d.Crashed() {
		return ErrCrashed
	}
	d.ops++
	do()
	if d.Crashed() {
		return ErrCrashed
	}
	return nil
}

func (d *Disk) current() map[string]*inode { return apply(d.durable, d.pending) }

func apply(names map[string]*inode, changes []change) map[string]*inode {
	out := maps.Clone(names)
	for _, c := range changes {
		for n, i := range c.set {
			if i == nil {
				delete(out, n)
			} else {
				out[n] = i
			}
		}
	}
	return out
}

// Read implements disk.Disk.
func (d *Disk) Read(name string, limit int64) ([]byte, error) {
	i := d.current()[name]
	if i == nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	if int64(len(i.data)) > limit {
		return nil, &fs.PathError{Op: "read", Path: name, Err: errors.New("file too long")}
	}
	return bytes.Clone(i.data), nil
}

// Create implements disk.Disk.
func (d *Disk) Create(name string) (disk.File, error) {
	i := new(inode)
	err := d.step(func() { d.pending = append(d.pending, change{map[string]*inode{name: i}}) })
	return &file{d, i}, err
}

// Rename implements disk.Disk. It is atomic.
func (d *Disk) Rename(from, to string) error {
	i := d.current()[from]
	if i == nil {
		return &fs.PathError{Op: "rename", Path: from, Err: fs.ErrNotExist}
	}
	return d.step(func() { d.pending = append(d.pending, change{map[string]*inode{from: nil, to: i}}) })
}

// Sync implements disk.Disk.
func (d *Disk) Sync() error {
	return d.step(func() {
		if !d.Crashed() && !d.LoseDirSync {
			d.durable, d.pending = d.current(), nil
		}
	})
}

type file struct {
	d *Disk
	i *inode
}

func (f *file) Write(p []byte) (int, error) {
	err := f.d.step(func() { f.i.data, f.i.clean = append(f.i.data, p...), false })
	return len(p), err
}

func (f *file) Sync() error {
	return f.d.step(func() {
		if !f.d.Crashed() && !f.d.LoseFileSync {
			f.i.synced, f.i.clean = bytes.Clone(f.i.data), true
		}
	})
}

func (f *file) Close() error { return nil }

// remains gives what may be on the disk of a file.
func (i *inode) remains() [][]byte {
	if i.clean {
		return [][]byte{i.data}
	}
	zeros := make([]byte, len(i.data))
	half := append(bytes.Clone(i.data[:len(i.data)/2]), zeros[len(i.data)/2:]...)
	return [][]byte{i.synced, i.data[:len(i.data)/2], zeros, half, i.data}
}

// After calls fn with each state that the disk may show after the crash. The states do not crash again.
func (d *Disk) After(fn func(how string, after *Disk)) {
	for n := range len(d.pending) + 1 {
		names := apply(d.durable, d.pending[:n])
		// At most one file is being written, so all may vary together.
		for v := range 5 {
			after := New(0)
			for name, i := range names {
				r := i.remains()
				data := r[min(v, len(r)-1)]
				after.durable[name] = &inode{data: bytes.Clone(data), synced: bytes.Clone(data), clean: true}
			}
			fn(fmt.Sprintf("operation %d, %d of %d directory changes, contents %d", d.ops, n, len(d.pending), v), after)
		}
	}
}
