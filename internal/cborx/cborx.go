// Package cborx sets the CBOR rules of this module, over fxamacker/cbor.
//
// Decoding is strict, whatever the target type: [Unmarshal] first walks the
// whole input with [Wellformed], which refuses duplicate map keys at every
// depth, indefinite lengths, trailing bytes, text that is not UTF-8, nesting
// beyond [MaxNesting] and input beyond [MaxSize]; then it decodes. Encodings
// that are longer than necessary are accepted: RFC 8949 lets senders choose, and
// authentication credentials are kept as they came.
//
// Encoding is core deterministic (RFC 8949, Section 4.2.1): shortest heads, keys
// in bytewise order. For structures that are built per message there are
// hand-written appends ([AppendArray], [AppendBytes], …), which allocate nothing
// beyond dst.
//
// Three traps of decoding into Go types: null and undefined leave the target as
// it is, an array of small integers decodes into a []byte, and a nil []byte
// encodes as null, not as an empty byte string. Where a codec must tell these
// apart, it decodes into [RawMessage] and uses [Bytes], [Text], [Int], [Uint],
// [Bool] and [IsNull], which accept exactly their own type.
package cborx

import (
	"fmt"

	"github.com/fxamacker/cbor/v2"
)

// Types of fxamacker/cbor that codecs need.
type (
	RawMessage = cbor.RawMessage
	Tag        = cbor.Tag
	RawTag     = cbor.RawTag
)

// The modes are immutable; building them from constant options cannot fail.
var (
	decMode = must(cbor.DecOptions{
		DupMapKey:        cbor.DupMapKeyEnforcedAPF,
		IndefLength:      cbor.IndefLengthForbidden,
		MaxNestedLevels:  MaxNesting,
		MaxArrayElements: MaxElements,
		MaxMapPairs:      MaxElements,
		IntDec:           cbor.IntDecConvertSignedOrFail,
		UTF8:             cbor.UTF8RejectInvalid,
	}.DecMode())
	encMode = must(cbor.CoreDetEncOptions().EncMode())
)

func must[T any](v T, err error) T {
	if err != nil {
		panic("cborx: constant options: " + err.Error())
	}
	return v
}

// Unmarshal decodes the one item that b consists of into v, a non-nil pointer.
// Integers decoded into an interface become int64.
func Unmarshal(b []byte, v any) error {
	if err := Wellformed(b); err != nil {
		return err
	}
	if err := decMode.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return nil
}

// Marshal encodes v deterministically.
func Marshal(v any) ([]byte, error) {
	b, err := encMode.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("cborx: %w", err)
	}
	return b, nil
}
