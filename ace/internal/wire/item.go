package wire

import (
	"fmt"

	"github.com/cohort-iot/cohort/internal/cborx"
)

// Bytes reads one item that is a byte string. The result is never nil and aliases item.
func Bytes(item []byte) ([]byte, error) {
	b, err := cborx.Bytes(item)
	if err == nil && b == nil {
		b = []byte{}
	}
	return b, wrap(err)
}

// Text reads one item that is a text string in UTF-8.
func Text(item []byte) (string, error) { return wrapped(cborx.Text(item)) }

// Uint reads one item that is an unsigned integer.
func Uint(item []byte) (uint64, error) { return wrapped(cborx.Uint(item)) }

// Int reads one item that is an integer of either sign within 64 bits.
func Int(item []byte) (int64, error) { return wrapped(cborx.Int(item)) }

// Bool reads one item that is true or false.
func Bool(item []byte) (bool, error) { return wrapped(cborx.Bool(item)) }

func wrapped[T any](v T, err error) (T, error) { return v, wrap(err) }

// IsNull says whether item is the simple value null.
func IsNull(item []byte) bool { return cborx.IsNull(item) }

// IsArray says whether item is an array.
func IsArray(item []byte) bool { return kind(item, majorArray) }

// IsMap says whether item is a map.
func IsMap(item []byte) bool { return kind(item, majorMap) }

// IsText says whether item is a text string.
func IsText(item []byte) bool { return kind(item, majorText) }

// IsBytes says whether item is a byte string.
func IsBytes(item []byte) bool { return kind(item, majorBytes) }

// Array splits one item that is an array into its encoded elements, which alias item.
func Array(item []byte) ([][]byte, error) {
	if err := wellformed(item); err != nil {
		return nil, err
	}
	n, rest, err := count(item, majorArray)
	if err != nil {
		return nil, err
	}
	out := make([][]byte, n)
	for i := range out {
		if out[i], rest, err = cborx.First(rest); err != nil {
			return nil, wrap(err)
		}
	}
	return out, nil
}

// ArrayOf reads one item that is an array whose elements each is of the kind read understands. The result is never nil.
func ArrayOf[T any](item []byte, read func([]byte) (T, error)) ([]T, error) {
	elems, err := Array(item)
	if err != nil {
		return nil, err
	}
	out := make([]T, len(elems))
	for i, e := range elems {
		if out[i], err = read(e); err != nil {
			return nil, fmt.Errorf("element %d: %w", i, err)
		}
	}
	return out, nil
}
