package coapmsg

import (
	"fmt"
	"slices"

	"github.com/plgd-dev/go-coap/v3/message"
)

const payloadMarker = 0xff

// ParseOptions reads an option list and the payload after it (RFC 7252,
// Section 3.1). Every option is kept, known or not, whatever its length; see
// UnknownCritical for the check. payload is nil if there is none; a payload
// marker with nothing behind it is ErrFormat. Values alias b.
func ParseOptions(b []byte) (opts message.Options, payload []byte, err error) {
	n, err := countOptions(b)
	if err != nil || n == 0 {
		if err == nil && len(b) > 0 {
			return nil, b[1:], nil
		}
		return nil, nil, err
	}
	// Two places more: what a security layer and an endpoint like to add.
	return ParseOptionsInto(make(message.Options, 0, n+2), b)
}

// ParseOptionsInto is ParseOptions into dst, whose contents it replaces and
// which it extends if its capacity does not do.
func ParseOptionsInto(dst message.Options, b []byte) (opts message.Options, payload []byte, err error) {
	opts = dst[:0]
	id := 0
	for len(b) > 0 {
		delta, value, rest, err := nextOption(b)
		if err != nil {
			return nil, nil, err
		}
		if rest == nil {
			return opts, value, nil
		}
		id += delta
		if id > 0xffff {
			return nil, nil, fmt.Errorf("%w: option number above 65535", ErrFormat)
		}
		if len(opts) == MaxOptions {
			return nil, nil, ErrTooManyOptions
		}
		opts = append(opts, message.Option{ID: message.OptionID(id), Value: value})
		b = rest
	}
	return opts, nil, nil
}

// countOptions returns how many options b holds, at most MaxOptions.
func countOptions(b []byte) (n int, err error) {
	for len(b) > 0 {
		_, _, rest, err := nextOption(b)
		if err != nil {
			return 0, err
		}
		if rest == nil {
			break
		}
		if n++; n > MaxOptions {
			return 0, ErrTooManyOptions
		}
		b = rest
	}
	return n, nil
}

// ClaimsOSCORE looks for an OSCORE option among encoded options, up to the first
// that is malformed. It tells no more than what a message pretends to be, and is
// cheap.
func ClaimsOSCORE(b []byte) bool {
	for id := 0; len(b) > 0 && b[0] != payloadMarker; {
		delta, _, rest, err := nextOption(b)
		if err != nil {
			return false
		}
		if id += delta; id >= int(OSCORE) {
			return id == int(OSCORE)
		}
		b = rest
	}
	return false
}

// nextOption reads one option. At the payload marker rest is nil and value is
// the payload; else rest is not nil, though it may be empty.
func nextOption(b []byte) (delta int, value, rest []byte, err error) {
	head := b[0]
	if head == payloadMarker {
		if len(b) == 1 {
			return 0, nil, nil, fmt.Errorf("%w: payload marker without payload", ErrFormat)
		}
		return 0, b[1:], nil, nil
	}
	b = b[1:]
	delta, b, err = extended(int(head>>4), b)
	if err != nil {
		return 0, nil, nil, err
	}
	length, b, err := extended(int(head&0x0f), b)
	if err != nil {
		return 0, nil, nil, err
	}
	if length > len(b) {
		return 0, nil, nil, fmt.Errorf("%w: option value truncated", ErrFormat)
	}
	return delta, b[:length:length], b[length:], nil
}

// extended reads the extension of a delta or length nibble.
func extended(nibble int, b []byte) (int, []byte, error) {
	switch {
	case nibble < 13:
		return nibble, b, nil
	case nibble == 13 && len(b) >= 1:
		return int(b[0]) + 13, b[1:], nil
	case nibble == 14 && len(b) >= 2:
		return int(b[0])<<8 + int(b[1]) + 269, b[2:], nil
	case nibble == 15:
		return 0, nil, fmt.Errorf("%w: reserved option nibble 15", ErrFormat)
	}
	return 0, nil, fmt.Errorf("%w: option header truncated", ErrFormat)
}

// AppendOptions appends the option list and, if payload is not empty, the
// payload marker and payload (RFC 7252, Section 3.1). Options that are out of
// order are encoded in the order of their numbers, equal numbers in the order
// given; opts itself is not changed. It panics if a value is longer than
// MaxOptionValue; AppendDatagram and Split return an error instead.
func AppendOptions(dst []byte, opts message.Options, payload []byte) []byte {
	opts = sorted(opts)
	prev := message.OptionID(0)
	for _, o := range opts {
		dst = appendOption(dst, int(o.ID-prev), o.Value)
		prev = o.ID
	}
	if len(payload) > 0 {
		dst = append(append(dst, payloadMarker), payload...)
	}
	return dst
}

func appendOption(dst []byte, delta int, value []byte) []byte {
	if len(value) > MaxOptionValue {
		panic("coapmsg: option value too long")
	}
	at := len(dst)
	dst = append(dst, 0)
	dn, dst := appendExtended(dst, delta)
	ln, dst := appendExtended(dst, len(value))
	dst[at] = dn<<4 | ln
	return append(dst, value...)
}

func appendExtended(dst []byte, n int) (nibble byte, _ []byte) {
	switch {
	case n < 13:
		return byte(n), dst
	case n < 269:
		return 13, append(dst, byte(n-13))
	}
	return 14, append(dst, byte((n-269)>>8), byte(n-269))
}

// sorted returns opts in the order of their numbers, as a copy if need be.
func sorted(opts message.Options) message.Options {
	if slices.IsSortedFunc(opts, compareID) {
		return opts
	}
	opts = slices.Clone(opts)
	slices.SortStableFunc(opts, compareID)
	return opts
}

func compareID(a, b message.Option) int { return int(a.ID) - int(b.ID) }

// sizeOptions is the most bytes AppendOptions can take.
func sizeOptions(opts message.Options, payload []byte) int {
	n := 1 + len(payload)
	for _, o := range opts {
		n += 5 + len(o.Value)
	}
	return n
}

// checkOptions reports options that cannot be encoded.
func checkOptions(opts message.Options) error {
	if len(opts) > MaxOptions {
		return ErrTooManyOptions
	}
	for _, o := range opts {
		if len(o.Value) > MaxOptionValue {
			return fmt.Errorf("%w: option %d is %d bytes long", ErrValue, uint16(o.ID), len(o.Value))
		}
	}
	return nil
}
