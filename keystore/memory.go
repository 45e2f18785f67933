package keystore

import (
	"bytes"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/cohort-iot/cohort/keystore/internal/ptree"
)

// Memory is a backend that keeps everything in memory, for tests and for programs that must forget. Durable means here: as long as
// the value lives; close the store and open another over the same Memory to play a restart.
type Memory struct{ state atomic.Pointer[ptree.Map] }

// NewMemory returns an empty backend.
func NewMemory() *Memory {
	m := new(Memory)
	m.state.Store(ptree.New())
	return m
}

// View implements Backend.
func (m *Memory) View(fn func(r BackendReader) error) error { return fn(treeReader{m.state.Load()}) }

// Apply implements Backend.
func (m *Memory) Apply(b Batch, f Fence) error {
	for {
		old := m.state.Load()
		next, err := applyTree(old, b, f)
		if err != nil {
			return err
		}
		if m.state.CompareAndSwap(old, next) {
			return nil
		}
	}
}

// Close implements Backend. The contents stay.
func (m *Memory) Close() error { return nil }

// Len returns the number of records.
func (m *Memory) Len() int { return m.state.Load().Len() }

// Size returns the bytes of all names and values.
func (m *Memory) Size() int { return m.state.Load().Size() }

// Clone returns a backend with the same contents, as a copy of the data file would be.
func (m *Memory) Clone() *Memory {
	c := new(Memory)
	c.state.Store(m.state.Load())
	return c
}

// applyTree applies a batch to a state if the fence holds, and returns the new state.
func applyTree(m *ptree.Map, b Batch, f Fence) (*ptree.Map, error) {
	have, _ := m.Get(string(f.Name))
	if err := f.Check(have); err != nil {
		return nil, err
	}
	for _, op := range b {
		if op.Value == nil {
			m = m.Delete(string(op.Name))
		} else {
			m = m.Put(string(op.Name), bytes.Clone(op.Value))
		}
	}
	return m, nil
}

// Check compares the stored value, nil if there is none, with the one the fence demands.
func (f Fence) Check(have []byte) error {
	if (f.Value == nil) != (have == nil) || !bytes.Equal(f.Value, have) {
		return fmt.Errorf("%w: %w", ErrFenced, ErrNotApplied)
	}
	return nil
}

type treeReader struct{ m *ptree.Map }

func (r treeReader) Get(n Name) ([]byte, error) {
	v, ok := r.m.Get(string(n))
	if !ok {
		return nil, ErrNotFound
	}
	return v, nil
}

func (r treeReader) Scan(prefix, after Name, fn func(Name, []byte) error) (err error) {
	r.m.Ascend(string(max(prefix, after)), func(k string, v []byte) bool {
		if !strings.HasPrefix(k, string(prefix)) {
			return false
		}
		if k == string(after) {
			return true
		}
		err = fn(Name(k), v)
		return err == nil
	})
	return err
}
