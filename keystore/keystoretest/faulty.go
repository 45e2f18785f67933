package keystoretest

import (
	"sync"

	"github.com/cohort-iot/cohort/keystore"
)

// Faulty is a backend whose commits can be made to fail or to wait. It is safe for concurrent use.
type Faulty struct {
	keystore.Backend

	mu     sync.Mutex
	before func(keystore.Batch) error
	after  func() error
}

// NewFaulty wraps b; it behaves like b until told otherwise.
func NewFaulty(b keystore.Backend) *Faulty { return &Faulty{Backend: b} }

// Before sets what runs before each commit; its error takes the place of the commit. Nil: nothing.
func (f *Faulty) Before(fn func(keystore.Batch) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.before = fn
}

// After sets what runs after each commit that was applied; its error is the commit's. Nil: nothing.
func (f *Faulty) After(fn func() error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.after = fn
}

// Apply implements keystore.Backend.
func (f *Faulty) Apply(b keystore.Batch, fence keystore.Fence) error {
	f.mu.Lock()
	before, after := f.before, f.after
	f.mu.Unlock()
	if before != nil {
		if err := before(b); err != nil {
			return err
		}
	}
	if err := f.Backend.Apply(b, fence); err != nil {
		return err
	}
	if after != nil {
		return after()
	}
	return nil
}

// Anchor is a keystore.Anchor in memory, whose state tests may copy and set.
type Anchor struct {
	B   []byte
	Err error // result of Load and Store
}

// Load implements keystore.Anchor.
func (a *Anchor) Load() ([]byte, error) { return append([]byte(nil), a.B...), a.Err }

// Store implements keystore.Anchor.
func (a *Anchor) Store(b []byte) error {
	if a.Err != nil {
		return a.Err
	}
	a.B = append([]byte(nil), b...)
	return nil
}
