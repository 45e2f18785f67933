package cborx

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"unicode/utf8"
)

// ErrMalformed says that bytes are not CBOR that this package accepts.
var ErrMalformed = errors.New("cborx: malformed CBOR")

// Major types (RFC 8949, Section 3.1).
const (
	majorUint   = 0
	majorNegInt = 1
	majorBytes  = 2
	majorText   = 3
	majorArray  = 4
	majorMap    = 5
	majorTag    = 6
	majorSimple = 7
)

// Additional information and simple values (RFC 8949, Sections 3 and 3.3).
const (
	info1Byte   = 24
	info8Bytes  = 27
	simpleFalse = 20
	simpleTrue  = 21
	simpleNull  = 22
	simpleUndef = 23
)

// Wellformed checks that b is exactly one item under the rules of this package.
func Wellformed(b []byte) error {
	_, rest, err := First(b)
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		return fmt.Errorf("%w: %d bytes after the item", ErrMalformed, len(rest))
	}
	return nil
}

// First checks and splits off the first item of b, which may be followed by
// others (a CBOR sequence, RFC 8742). Both results alias b.
func First(b []byte) (item, rest []byte, err error) {
	if len(b) > MaxSize {
		return nil, nil, fmt.Errorf("%w: %d bytes, more than %d", ErrMalformed, len(b), MaxSize)
	}
	rest, err = walk(b, 0)
	if err != nil {
		return nil, nil, err
	}
	return b[:len(b)-len(rest)], rest, nil
}

// head splits off the head of the first item: major type, additional
// information, and the argument. An indefinite length is an error.
func head(b []byte) (major, info byte, arg uint64, rest []byte, err error) {
	if len(b) == 0 {
		return 0, 0, 0, nil, fmt.Errorf("%w: input ends inside an item", ErrMalformed)
	}
	major, info = b[0]>>5, b[0]&0x1f
	b = b[1:]
	if info < info1Byte {
		return major, info, uint64(info), b, nil
	}
	if info > info8Bytes {
		return 0, 0, 0, nil, fmt.Errorf("%w: indefinite length or reserved head 0x%02x", ErrMalformed, major<<5|info)
	}
	n := 1 << (info - info1Byte)
	if len(b) < n {
		return 0, 0, 0, nil, fmt.Errorf("%w: input ends inside a head", ErrMalformed)
	}
	var wide [8]byte
	copy(wide[8-n:], b[:n])
	return major, info, binary.BigEndian.Uint64(wide[:]), b[n:], nil
}

// walk checks one item, at the given depth of nesting, and returns what follows it.
func walk(b []byte, depth int) (rest []byte, err error) {
	major, info, arg, rest, err := head(b)
	if err != nil {
		return nil, err
	}
	if major >= majorArray && major <= majorTag {
		if depth++; depth > MaxNesting {
			return nil, fmt.Errorf("%w: nested deeper than %d", ErrMalformed, MaxNesting)
		}
	}
	switch major {
	case majorBytes, majorText:
		if arg > uint64(len(rest)) {
			return nil, fmt.Errorf("%w: input ends inside a string", ErrMalformed)
		}
		if major == majorText && !utf8.Valid(rest[:arg]) {
			return nil, fmt.Errorf("%w: text is not UTF-8", ErrMalformed)
		}
		return rest[arg:], nil
	case majorArray:
		if err := checkCount(arg, len(rest)); err != nil {
			return nil, err
		}
		for range arg {
			if rest, err = walk(rest, depth); err != nil {
				return nil, err
			}
		}
	case majorMap:
		return walkMap(arg, rest, depth)
	case majorTag:
		return walk(rest, depth)
	case majorSimple:
		if info == info1Byte && arg < 32 {
			return nil, fmt.Errorf("%w: simple value %d in two bytes", ErrMalformed, arg)
		}
	}
	return rest, nil
}

// checkCount refuses a count of elements that the limit or the input forbids.
func checkCount(n uint64, available int) error {
	if n > MaxElements {
		return fmt.Errorf("%w: %d elements, more than %d", ErrMalformed, n, MaxElements)
	}
	if n > uint64(available) {
		return fmt.Errorf("%w: input ends inside an array or map", ErrMalformed)
	}
	return nil
}

// smallMap is the number of keys up to which they are compared one by one.
const smallMap = 16

// keySet finds duplicate keys. Keys that come in order, as in deterministic encoding,
// cost one comparison each. It is passed by value, so that a few keys stay on the
// stack.
type keySet struct {
	list     [][]byte
	unsorted bool
	many     map[string]struct{} // in place of list, once there are many and they are not in order
}

// add returns the set with a key, and whether the key is new.
func (s keySet) add(key []byte) (keySet, bool) {
	n := len(s.list)
	s.unsorted = s.unsorted || n > 0 && bytes.Compare(s.list[n-1], key) >= 0
	if s.unsorted && n >= smallMap {
		if s.many == nil {
			s.many = make(map[string]struct{}, 2*n)
			for _, k := range s.list {
				s.many[string(k)] = struct{}{}
			}
		}
		_, dup := s.many[string(key)]
		s.many[string(key)] = struct{}{}
		return s, !dup
	}
	if s.unsorted {
		for _, k := range s.list {
			if bytes.Equal(k, key) {
				return s, false
			}
		}
	}
	s.list = append(s.list, key)
	return s, true
}

func walkMap(pairs uint64, b []byte, depth int) (rest []byte, err error) {
	if err := checkCount(pairs, len(b)/2); err != nil {
		return nil, err
	}
	var few [smallMap][]byte // on the stack
	keys := keySet{list: few[:0]}
	rest = b
	for range pairs {
		key := rest
		if rest, err = walk(rest, depth); err != nil {
			return nil, err
		}
		var ok bool
		if keys, ok = keys.add(normalKey(key[:len(key)-len(rest)])); !ok {
			return nil, fmt.Errorf("%w: duplicate map key", ErrMalformed)
		}
		if rest, err = walk(rest, depth); err != nil {
			return nil, err
		}
	}
	return rest, nil
}

// normalKey returns a key in a form that is equal for equal keys, where an
// integer or a string has a head longer than necessary. Keys of other types are
// compared by their bytes; no protocol in use has such keys.
func normalKey(key []byte) []byte {
	major, info, arg, rest, err := head(key)
	if err != nil || major > majorText || info < info1Byte || headSize(arg) == len(key)-len(rest) {
		return key
	}
	return append(appendHead(nil, major, arg), rest...)
}

func headSize(arg uint64) int {
	switch {
	case arg < info1Byte:
		return 1
	case arg <= math.MaxUint8:
		return 2
	case arg <= math.MaxUint16:
		return 3
	case arg <= math.MaxUint32:
		return 5
	}
	return 9
}
