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
// Tags are refused, except where the target takes them: an interface, [RawMessage],
// [Tag] and [RawTag] take any item, a slice or map of RawMessage takes them in its
// elements. The library by itself would skip them.
//
// Three traps of decoding into Go types: null and undefined go into any type, as nil
// or without effect; an array of small integers goes into a []byte; and a nil []byte
// encodes as null, not as an empty byte string. Where a codec must tell these apart,
// it decodes into [RawMessage] and uses [Bytes], [Text], [Int], [Uint], [Bool] and
// [IsNull], which accept exactly their own type.
package cborx

import (
	"fmt"
	"reflect"

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
	withTags    = must(decOptions(cbor.TagsAllowed).DecMode())
	withoutTags = must(decOptions(cbor.TagsForbidden).DecMode())
	encMode     = must(cbor.CoreDetEncOptions().EncMode())
)

func decOptions(tags cbor.TagsMode) cbor.DecOptions {
	return cbor.DecOptions{
		DupMapKey:        cbor.DupMapKeyEnforcedAPF,
		IndefLength:      cbor.IndefLengthForbidden,
		TagsMd:           tags,
		MaxNestedLevels:  MaxNesting,
		MaxArrayElements: MaxElements,
		MaxMapPairs:      MaxElements,
		IntDec:           cbor.IntDecConvertSignedOrFail,
		UTF8:             cbor.UTF8RejectInvalid,
	}
}

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
	mode := withoutTags
	switch takesTags(v) {
	case inElements:
		if _, _, tagged := CutTag(b); !tagged {
			mode = withTags
		}
	case anywhere:
		mode = withTags
	}
	if err := mode.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return nil
}

// tagPlaces says where a target takes tagged items.
type tagPlaces uint8

const (
	nowhere tagPlaces = iota
	inElements
	anywhere
)

func takesTags(v any) tagPlaces {
	t := reflect.TypeOf(v)
	if t == nil || t.Kind() != reflect.Pointer {
		return nowhere
	}
	raw := reflect.TypeFor[RawMessage]()
	switch t = t.Elem(); {
	case t.Kind() == reflect.Interface, t == raw, t == reflect.TypeFor[Tag](), t == reflect.TypeFor[RawTag]():
		return anywhere
	case (t.Kind() == reflect.Slice || t.Kind() == reflect.Map) && t.Elem() == raw:
		return inElements
	}
	return nowhere
}

// Marshal encodes v deterministically.
func Marshal(v any) ([]byte, error) {
	b, err := encMode.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("cborx: %w", err)
	}
	return b, nil
}
