package coapmsg

import "fmt"

// MaxSequence is the largest Sender Sequence Number a Partial IV can hold,
// 2^40 - 1 (RFC 8613, Section 7.2.1).
const MaxSequence = 1<<40 - 1

// MaxPIVSize is the longest Partial IV in bytes (RFC 8613, Section 5).
const MaxPIVSize = 5

// EncodePIV gives a sequence number as a Partial IV: big endian without
// leading zero bytes, but 0 is one zero byte (RFC 8613, Section 5). It panics
// above MaxSequence.
func EncodePIV(seq uint64) []byte { return AppendPIV(make([]byte, 0, MaxPIVSize), seq) }

// AppendPIV is EncodePIV to the end of dst.
func AppendPIV(dst []byte, seq uint64) []byte {
	if seq > MaxSequence {
		panic("coapmsg: sequence number above 2^40-1")
	}
	started := false
	for shift := 32; shift >= 0; shift -= 8 {
		c := byte(seq >> shift)
		if started = started || c != 0 || shift == 0; started {
			dst = append(dst, c)
		}
	}
	return dst
}

// DecodePIV reads a Partial IV of one to five bytes. A superfluous leading
// zero byte is ErrFormat: the sender has to strip it (RFC 8613, Section 5),
// and one sequence number has one encoding.
func DecodePIV(b []byte) (uint64, error) {
	if len(b) == 0 || len(b) > MaxPIVSize {
		return 0, fmt.Errorf("%w: partial iv of %d bytes", ErrFormat, len(b))
	}
	if len(b) > 1 && b[0] == 0 {
		return 0, fmt.Errorf("%w: partial iv with leading zero", ErrFormat)
	}
	var seq uint64
	for _, c := range b {
		seq = seq<<8 | uint64(c)
	}
	return seq, nil
}
