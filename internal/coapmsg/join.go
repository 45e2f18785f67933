package coapmsg

import (
	"fmt"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// Join rebuilds the original message from a protected one and its decrypted
// plaintext (RFC 8613, Sections 8.2 and 8.4, first and last steps). Code,
// Inner options and payload come from the plaintext. Of the Outer options only
// those that are solely of class U remain, without the OSCORE option; any
// other Outer option, known or not, is discarded. Token, type and Message ID
// are those of outer. Values alias plaintext and outer.
//
// ErrFormat is returned for a plaintext without a code or with malformed
// options, for an Inner option that can only be Outer, and if the Inner Code
// is not of the same kind, request or response, as the Outer Code;
// ErrTooManyOptions if both together have more than MaxOptions options, which
// no message had that Split took.
func Join(outer message.Message, plaintext []byte) (message.Message, error) {
	return JoinInto(nil, outer, plaintext)
}

// JoinInto is Join with storage for the options of the result, whose contents
// are replaced.
func JoinInto(buf message.Options, outer message.Message, plaintext []byte) (message.Message, error) {
	if len(plaintext) == 0 {
		return message.Message{}, fmt.Errorf("%w: empty plaintext", ErrFormat)
	}
	m := outer
	m.Code = codes.Code(plaintext[0])
	kind := IsRequest(m.Code) && IsRequest(outer.Code) || IsResponse(m.Code) && IsResponse(outer.Code)
	if !kind {
		return message.Message{}, fmt.Errorf("%w: inner code %s in outer code %s", ErrFormat, CodeString(m.Code), CodeString(outer.Code))
	}
	kept := 0
	for _, o := range outer.Options {
		if keepOuter(o.ID) {
			kept++
		}
	}
	opts := buf[:0]
	if n, err := countOptions(plaintext[1:]); err != nil {
		return message.Message{}, err
	} else if n+kept > MaxOptions {
		return message.Message{}, ErrTooManyOptions
	} else if n+kept > cap(opts) {
		opts = make(message.Options, 0, n+kept+2)
	}
	opts, payload, err := ParseOptionsInto(opts, plaintext[1:])
	if err != nil {
		return message.Message{}, err
	}
	for _, o := range opts {
		if ClassOf(o.ID)&ClassE == 0 {
			return message.Message{}, fmt.Errorf("%w: inner option %d", ErrFormat, uint16(o.ID))
		}
	}
	if kept > 0 {
		for _, o := range outer.Options {
			if keepOuter(o.ID) {
				opts = Insert(opts, o)
			}
		}
	}
	m.Options, m.Payload = opts, payload
	return m, nil
}

// keepOuter reports whether an Outer option survives decryption.
func keepOuter(id message.OptionID) bool { return id != OSCORE && ClassOf(id) == ClassU }
