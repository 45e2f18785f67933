package wire

import (
	"bytes"
	"fmt"

	"github.com/cohort-iot/cohort/internal/cborx"
)

// Reader gives the members of one map by their integer keys. It is for one goroutine.
//
// Once a member has failed, every later call returns zero values and [Reader.Err] the first fault.
type Reader struct {
	fields map[int64][]byte
	pairs  uint64 // members of the map, those whose keys are no integers included
	err    error
}

// NewReader reads the map that b holds. What the Reader hands out never aliases b.
// Members whose keys are no integers are skipped; the same integer key twice is malformed.
func NewReader(b []byte) *Reader {
	r := &Reader{}
	r.err = r.split(bytes.Clone(b))
	return r
}

func (r *Reader) split(b []byte) error {
	if err := wellformed(b); err != nil {
		return err
	}
	n, rest, err := count(b, majorMap)
	if err != nil {
		return err
	}
	if n > MaxFields {
		return fmt.Errorf("%w: more than %d members", ErrMalformed, MaxFields)
	}
	r.fields, r.pairs = make(map[int64][]byte, n), n
	for range n {
		var key, val []byte
		if key, rest, err = cborx.First(rest); err == nil {
			val, rest, err = cborx.First(rest)
		}
		if err != nil {
			return wrap(err)
		}
		if k, err := Int(key); err == nil {
			r.fields[k] = val
		}
	}
	return nil
}

// Err returns the first fault met, or nil.
func (r *Reader) Err() error { return r.err }

// Fail records err, unless a fault is recorded already.
func (r *Reader) Fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

// Failf records a fault that wraps [ErrMalformed], unless one is recorded already.
func (r *Reader) Failf(format string, args ...any) {
	r.Fail(fmt.Errorf("%w: "+format, append([]any{ErrMalformed}, args...)...))
}

// Has says whether the map has key.
func (r *Reader) Has(key int64) bool {
	_, ok := r.fields[key]
	return ok
}

// Only says whether the map has no member but those of keys. It serves the messages that refuse unknown members.
func (r *Reader) Only(keys ...int64) bool {
	known := uint64(0)
	for _, k := range keys {
		if r.Has(k) {
			known++
		}
	}
	return known == r.pairs
}

// Require records a fault for each key that the map does not have.
func (r *Reader) Require(keys ...int64) {
	for _, k := range keys {
		if r.err == nil && !r.Has(k) {
			r.Failf("member %d is missing", k)
		}
	}
}

// Raw returns the encoded value of key, or nil if it is absent.
func (r *Reader) Raw(key int64) []byte {
	if r.err != nil {
		return nil
	}
	return r.fields[key]
}

// IsNull says whether key is there with the value null.
func (r *Reader) IsNull(key int64) bool { return IsNull(r.Raw(key)) }

// Null says whether key is there, and records a fault if its value is not null.
func (r *Reader) Null(key int64) bool {
	raw := r.Raw(key)
	if raw != nil && !IsNull(raw) {
		r.Failf("member %d: not null", key)
	}
	return raw != nil
}

// Bytes returns the byte string of key; nil if it is absent, never nil if it is there.
func (r *Reader) Bytes(key int64) []byte { v, _ := Field(r, key, Bytes); return v }

// Text returns the text string of key, and whether it is there.
func (r *Reader) Text(key int64) (string, bool) { return Field(r, key, Text) }

// Uint returns the unsigned integer of key, and whether it is there.
func (r *Reader) Uint(key int64) (uint64, bool) { return Field(r, key, Uint) }

// Int returns the integer of key, and whether it is there.
func (r *Reader) Int(key int64) (int64, bool) { return Field(r, key, Int) }

// Bool returns the boolean of key, and whether it is there.
func (r *Reader) Bool(key int64) (value, ok bool) { return Field(r, key, Bool) }

// BytesArray returns the array of byte strings of key; nil if it is absent, never nil if it is there.
func (r *Reader) BytesArray(key int64) [][]byte { return List(r, key, Bytes) }

// TextArray returns the array of text strings of key; nil if it is absent, never nil if it is there.
func (r *Reader) TextArray(key int64) []string { return List(r, key, Text) }

// Field reads the value of key with read, and says whether the key is there.
func Field[T any](r *Reader, key int64, read func([]byte) (T, error)) (value T, ok bool) {
	raw := r.Raw(key)
	if raw == nil {
		return value, false
	}
	v, err := read(raw)
	if err != nil {
		r.Fail(fmt.Errorf("member %d: %w", key, err))
		return value, false
	}
	return v, true
}

// List reads the array of key with read for each element; nil if the key is absent, never nil if it is there.
func List[T any](r *Reader, key int64, read func([]byte) (T, error)) []T {
	v, _ := Field(r, key, func(item []byte) ([]T, error) { return ArrayOf(item, read) })
	return v
}
