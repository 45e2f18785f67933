package boltstore

import (
	"bytes"
	"fmt"
	"runtime/debug"

	"go.etcd.io/bbolt"

	"github.com/cohort-iot/cohort/keystore"
)

// reader reads in one transaction. bbolt trusts its file and panics, or touches memory beyond it, when pages are
// damaged; reader makes that ErrCorrupt.
type reader struct{ b *bbolt.Bucket }

var _ keystore.BackendReader = reader{}

// guarded runs fn, which calls bbolt and nothing else.
func guarded(fn func()) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: data file is damaged: %v", keystore.ErrCorrupt, p)
		}
	}()
	fn()
	return nil
}

// Get implements keystore.BackendReader.
func (r reader) Get(n keystore.Name) (v []byte, err error) {
	if err := guarded(func() { v = r.b.Get([]byte(n)) }); err != nil {
		return nil, err
	}
	if v == nil {
		return nil, keystore.ErrNotFound
	}
	return v, nil
}

// Scan implements keystore.BackendReader.
func (r reader) Scan(prefix, after keystore.Name, fn func(keystore.Name, []byte) error) error {
	var c *bbolt.Cursor
	var k, v []byte
	from := []byte(max(prefix, after))
	err := guarded(func() { c = r.b.Cursor(); k, v = c.Seek(from) })
	for ; err == nil && k != nil && bytes.HasPrefix(k, []byte(prefix)); err = guarded(func() { k, v = c.Next() }) {
		if string(k) == string(after) {
			continue
		}
		if err := fn(keystore.Name(k), v); err != nil {
			return err
		}
	}
	return err
}
