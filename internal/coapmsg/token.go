package coapmsg

import (
	"encoding/binary"
	"fmt"

	"github.com/plgd-dev/go-coap/v3/message"
)

// MaxExtendedToken is the longest token the wire can carry, in bytes
// (RFC 8974, Section 2.1).
const MaxExtendedToken = 269 + 0xffff

// TokenLength decodes a token length field: tkl is the four bits of the first
// byte of a message, ext begins where an extended token length would stand
// (RFC 8974, Section 2.1). It returns the length of the token and how many
// bytes of ext belong to it. Lengths 9 to 12 and 15 are ErrFormat, and so is an
// ext that is too short.
func TokenLength(tkl byte, ext []byte) (length, used int, err error) {
	switch {
	case tkl <= message.MaxTokenSize:
		return int(tkl), 0, nil
	case tkl == 13 && len(ext) >= 1:
		return 13 + int(ext[0]), 1, nil
	case tkl == 14 && len(ext) >= 2:
		return 269 + int(binary.BigEndian.Uint16(ext)), 2, nil
	}
	return 0, 0, fmt.Errorf("%w: token length field %d", ErrFormat, tkl)
}

// cutToken returns the token at the head of b and what follows it.
func cutToken(tkl byte, b []byte) (token message.Token, rest []byte, err error) {
	n, used, err := TokenLength(tkl, b)
	if err != nil {
		return nil, nil, err
	}
	if len(b) < used+n {
		return nil, nil, fmt.Errorf("%w: token of %d bytes", ErrFormat, n)
	}
	if n > 0 {
		token = b[used : used+n : used+n]
	}
	return token, b[used+n:], nil
}

// tokenField returns the token length field of a token of n bytes and the size
// of its extension. Lengths 9 to 12 have no short form and use the extended
// one, which cannot express them: they are refused by checkToken.
func tokenField(n int) (tkl byte, ext int) {
	switch {
	case n <= message.MaxTokenSize:
		return byte(n), 0
	case n < 269:
		return 13, 1
	}
	return 14, 2
}

// checkToken says whether a token has a length that can be encoded.
func checkToken(t message.Token) error {
	if n := len(t); n > MaxExtendedToken || n > message.MaxTokenSize && n < 13 {
		return fmt.Errorf("%w: token of %d bytes", ErrValue, n)
	}
	return nil
}

// appendToken appends the extended token length, if any, and the token.
func appendToken(dst []byte, t message.Token) []byte {
	switch _, ext := tokenField(len(t)); ext {
	case 1:
		dst = append(dst, byte(len(t)-13))
	case 2:
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(t)-269))
	}
	return append(dst, t...)
}
