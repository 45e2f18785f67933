package wire

import (
	"slices"

	"github.com/cohort-iot/cohort/internal/cborx"
)

// Writer collects the members of one map. The zero value is an empty map. It is for one goroutine.
//
// The methods that take a slice leave the member out when the slice is nil, and write an empty string or array when it is
// empty but not nil: absence and emptiness mean different things in these messages.
type Writer struct {
	fields []field
}

type field struct {
	key   int64
	value []byte
}

// Raw adds an encoded value; nothing if value is nil.
func (w *Writer) Raw(key int64, value []byte) {
	if value != nil {
		w.fields = append(w.fields, field{key, value})
	}
}

// Bytes adds a byte string; nothing if v is nil.
func (w *Writer) Bytes(key int64, v []byte) {
	if v != nil {
		w.Raw(key, cborx.AppendBytes(nil, v))
	}
}

// Text adds a text string; nothing if v is empty.
func (w *Writer) Text(key int64, v string) {
	if v != "" {
		w.Raw(key, cborx.AppendText(nil, v))
	}
}

// Uint adds an unsigned integer.
func (w *Writer) Uint(key int64, v uint64) { w.Raw(key, cborx.AppendUint(nil, v)) }

// Int adds an integer.
func (w *Writer) Int(key, v int64) { w.Raw(key, cborx.AppendInt(nil, v)) }

// Bool adds a boolean.
func (w *Writer) Bool(key int64, v bool) { w.Raw(key, cborx.AppendBool(nil, v)) }

// Null adds a null.
func (w *Writer) Null(key int64) { w.Raw(key, cborx.AppendNull(nil)) }

// BytesArray adds an array of byte strings; nothing if v is nil.
func (w *Writer) BytesArray(key int64, v [][]byte) { Add(w, key, v, cborx.AppendBytes) }

// TextArray adds an array of text strings; nothing if v is nil.
func (w *Writer) TextArray(key int64, v []string) { Add(w, key, v, cborx.AppendText) }

// Add adds an array whose elements put appends; nothing if v is nil.
func Add[T any](w *Writer, key int64, v []T, put func([]byte, T) []byte) {
	if v != nil {
		w.Raw(key, AppendArrayOf(nil, v, put))
	}
}

// AppendArrayOf appends an array whose elements put appends.
func AppendArrayOf[T any](dst []byte, v []T, put func([]byte, T) []byte) []byte {
	dst = cborx.AppendArray(dst, len(v))
	for _, e := range v {
		dst = put(dst, e)
	}
	return dst
}

// Encode returns the map, its members sorted by their encoded keys (RFC 8949, Section 4.2.1).
func (w *Writer) Encode() []byte {
	sorted := slices.Clone(w.fields)
	slices.SortStableFunc(sorted, func(a, b field) int { return order(a.key) - order(b.key) })
	dst := cborx.AppendMap(nil, len(sorted))
	for _, f := range sorted {
		dst = cborx.AppendInt(dst, f.key)
		dst = append(dst, f.value...)
	}
	return dst
}

// order ranks a key as its encoding sorts: 0, 1, 2, … and after them -1, -2, ….
func order(key int64) int {
	if key < 0 {
		return 1<<32 - int(key)
	}
	return int(key)
}
