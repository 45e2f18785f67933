package cborx

import (
	"fmt"
	"math"
	"unicode/utf8"
)

// Bytes returns the content of an item that must be a byte string. It aliases item.
func Bytes(item []byte) ([]byte, error) { return str(item, majorBytes, "byte string") }

// Text returns the content of an item that must be a text string.
func Text(item []byte) (string, error) {
	b, err := str(item, majorText, "text string")
	if err == nil && !utf8.Valid(b) {
		err = fmt.Errorf("%w: text is not UTF-8", ErrMalformed)
	}
	if err != nil {
		return "", err
	}
	return string(b), nil
}

func str(item []byte, want byte, name string) ([]byte, error) {
	major, _, arg, rest, err := head(item)
	if err != nil {
		return nil, err
	}
	if major != want || arg != uint64(len(rest)) {
		return nil, fmt.Errorf("%w: not a %s", ErrMalformed, name)
	}
	return rest[:len(rest):len(rest)], nil
}

// Int returns the value of an item that must be an integer within int64.
func Int(item []byte) (int64, error) {
	major, _, arg, rest, err := head(item)
	if err != nil {
		return 0, err
	}
	if major > majorNegInt || len(rest) > 0 || arg > math.MaxInt64 {
		return 0, fmt.Errorf("%w: not an integer of 64 bits", ErrMalformed)
	}
	if major == majorNegInt {
		return ^int64(arg), nil
	}
	return int64(arg), nil
}

// Uint returns the value of an item that must be an unsigned integer.
func Uint(item []byte) (uint64, error) {
	major, _, arg, rest, err := head(item)
	if err != nil {
		return 0, err
	}
	if major != majorUint || len(rest) > 0 {
		return 0, fmt.Errorf("%w: not an unsigned integer", ErrMalformed)
	}
	return arg, nil
}

// Bool returns the value of an item that must be true or false.
func Bool(item []byte) (bool, error) {
	if len(item) == 1 && (item[0] == majorSimple<<5|simpleTrue || item[0] == majorSimple<<5|simpleFalse) {
		return item[0] == majorSimple<<5|simpleTrue, nil
	}
	return false, fmt.Errorf("%w: not a boolean", ErrMalformed)
}

// IsNull reports whether the item is null.
func IsNull(item []byte) bool { return len(item) == 1 && item[0] == majorSimple<<5|simpleNull }

// IsUndefined reports whether the item is undefined.
func IsUndefined(item []byte) bool {
	return len(item) == 1 && item[0] == majorSimple<<5|simpleUndef
}

// CutTag splits a leading tag head off; ok is false if item starts with none.
func CutTag(item []byte) (num uint64, content []byte, ok bool) {
	major, _, arg, rest, err := head(item)
	if err != nil || major != majorTag {
		return 0, nil, false
	}
	return arg, rest, true
}
