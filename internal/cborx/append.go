package cborx

import "encoding/binary"

// appendHead appends a head in its shortest form (RFC 8949, Section 4.2.1).
func appendHead(dst []byte, major byte, arg uint64) []byte {
	m := major << 5
	switch headSize(arg) {
	case 1:
		return append(dst, m|byte(arg))
	case 2:
		return append(dst, m|info1Byte, byte(arg))
	case 3:
		return binary.BigEndian.AppendUint16(append(dst, m|(info1Byte+1)), uint16(arg))
	case 5:
		return binary.BigEndian.AppendUint32(append(dst, m|(info1Byte+2)), uint32(arg))
	}
	return binary.BigEndian.AppendUint64(append(dst, m|info8Bytes), arg)
}

// AppendArray appends the head of an array of n elements. n must not be negative.
func AppendArray(dst []byte, n int) []byte { return appendHead(dst, majorArray, uint64(n)) }

// AppendMap appends the head of a map of n pairs; the caller appends the pairs in
// the bytewise order of their encoded keys. n must not be negative.
func AppendMap(dst []byte, n int) []byte { return appendHead(dst, majorMap, uint64(n)) }

// AppendUint appends an unsigned integer.
func AppendUint(dst []byte, v uint64) []byte { return appendHead(dst, majorUint, v) }

// AppendInt appends an integer.
func AppendInt(dst []byte, v int64) []byte {
	if v < 0 {
		return appendHead(dst, majorNegInt, uint64(^v))
	}
	return appendHead(dst, majorUint, uint64(v))
}

// AppendBytes appends a byte string; nil is the empty one.
func AppendBytes(dst, v []byte) []byte {
	return append(appendHead(dst, majorBytes, uint64(len(v))), v...)
}

// AppendBytesHead appends the head of a byte string of n bytes, which the caller
// appends next.
func AppendBytesHead(dst []byte, n int) []byte { return appendHead(dst, majorBytes, uint64(n)) }

// AppendText appends a text string, which must be UTF-8.
func AppendText(dst []byte, v string) []byte {
	return append(appendHead(dst, majorText, uint64(len(v))), v...)
}

// AppendNull appends null.
func AppendNull(dst []byte) []byte { return append(dst, majorSimple<<5|simpleNull) }

// AppendBool appends true or false.
func AppendBool(dst []byte, v bool) []byte {
	if v {
		return append(dst, majorSimple<<5|simpleTrue)
	}
	return append(dst, majorSimple<<5|simpleFalse)
}

// AppendTag appends the head of a tag; the tagged item follows.
func AppendTag(dst []byte, num uint64) []byte { return appendHead(dst, majorTag, num) }
