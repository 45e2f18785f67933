package cborx

import (
	"bytes"
	"fmt"
	"math"
)

// Deterministic checks that b is exactly one item in core deterministic encoding
// (RFC 8949, Section 4.2.1): shortest heads, map keys in bytewise order, and floating
// point numbers in the shortest form that keeps their value.
func Deterministic(b []byte) error {
	if err := Wellformed(b); err != nil {
		return err
	}
	_, err := shortest(b)
	return err
}

// shortest checks one well-formed item and returns what follows it.
func shortest(b []byte) (rest []byte, err error) {
	major, info, arg, rest, err := head(b)
	if err != nil {
		return nil, err
	}
	if size := len(b) - len(rest); major != majorSimple && size != headSize(arg) {
		return nil, fmt.Errorf("%w: head longer than necessary", ErrMalformed)
	}
	switch major {
	case majorBytes, majorText:
		return rest[arg:], nil
	case majorTag:
		return shortest(rest)
	case majorArray:
		for range arg {
			if rest, err = shortest(rest); err != nil {
				return nil, err
			}
		}
	case majorMap:
		var last []byte
		for range arg {
			key := rest
			if rest, err = shortest(rest); err != nil {
				return nil, err
			}
			key = key[:len(key)-len(rest)]
			if last != nil && bytes.Compare(last, key) >= 0 {
				return nil, fmt.Errorf("%w: map keys are not sorted", ErrMalformed)
			}
			last = key
			if rest, err = shortest(rest); err != nil {
				return nil, err
			}
		}
	case majorSimple:
		if longFloat(info, arg) {
			return nil, fmt.Errorf("%w: floating point number longer than necessary", ErrMalformed)
		}
	}
	return rest, nil
}

// longFloat reports whether a float of 32 or 64 bits fits the next smaller size. A
// half-precision significand has 10 bits and the exponents -24 (subnormal) to 15.
func longFloat(info byte, arg uint64) bool {
	switch info {
	case info8Bytes:
		f := math.Float64frombits(arg)
		if f != f {
			return true // one encoding of NaN is enough, and it is half precision
		}
		return float64(float32(f)) == f
	case info8Bytes - 1:
		f := math.Float32frombits(uint32(arg))
		if f != f || f == 0 || math.IsInf(float64(f), 0) {
			return true
		}
		frac, exp := math.Frexp(math.Abs(float64(f))) // 0.5 <= frac < 1
		bits := 11                                    // of a normal half, the leading one included
		if exp-1 < -14 {
			bits = 11 - (-14 - (exp - 1))
		}
		if exp-1 > 15 || bits < 1 {
			return false
		}
		scaled := math.Ldexp(frac, bits)
		return scaled == math.Trunc(scaled)
	}
	return false
}
