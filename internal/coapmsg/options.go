package coapmsg

import (
	"fmt"

	"github.com/plgd-dev/go-coap/v3/message"
)

// Get returns the value of the first option with this number.
func Get(opts message.Options, id message.OptionID) (value []byte, ok bool) {
	for _, o := range opts {
		if o.ID == id {
			return o.Value, true
		}
	}
	return nil, false
}

// Has reports whether an option with this number is there.
func Has(opts message.Options, id message.OptionID) bool {
	_, ok := Get(opts, id)
	return ok
}

// Insert puts o into opts behind all options with the same or a lower number.
// Like append it may reuse the array of opts.
func Insert(opts message.Options, o message.Option) message.Options {
	opts = append(opts, o)
	i := len(opts) - 1
	for ; i > 0 && opts[i-1].ID > o.ID; i-- {
		opts[i] = opts[i-1]
	}
	opts[i] = o
	return opts
}

// Without returns opts less all options with this number, in a new slice if
// there are any.
func Without(opts message.Options, id message.OptionID) message.Options {
	if !Has(opts, id) {
		return opts
	}
	out := make(message.Options, 0, len(opts))
	for _, o := range opts {
		if o.ID != id {
			out = append(out, o)
		}
	}
	return out
}

// FindOSCORE returns the value of the first OSCORE option and the number of
// instances. A message with more than one has an unrecognised critical option
// (RFC 7252, Section 5.4.5; RFC 8613, Section 2).
func FindOSCORE(opts message.Options) (value []byte, n int) {
	for _, o := range opts {
		if o.ID != OSCORE {
			continue
		}
		if n++; n == 1 {
			value = o.Value
		}
	}
	return value, n
}

// EncodeUint gives v in the uint format of RFC 7252, Section 3.2: big endian,
// without leading zero bytes; 0 is empty.
func EncodeUint(v uint32) []byte {
	b := make([]byte, 0, 4)
	for shift := 24; shift >= 0; shift -= 8 {
		if c := byte(v >> shift); c != 0 || len(b) > 0 {
			b = append(b, c)
		}
	}
	return b
}

// DecodeUint reads a value in the uint format of RFC 7252, Section 3.2.
// Leading zero bytes are accepted, as that section asks; more than four bytes
// are ErrFormat.
func DecodeUint(b []byte) (v uint32, err error) {
	if len(b) > 4 {
		return 0, fmt.Errorf("%w: uint of %d bytes", ErrFormat, len(b))
	}
	for _, c := range b {
		v = v<<8 | uint32(c)
	}
	return v, nil
}
