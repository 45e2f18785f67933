package coapmsg

import (
	"fmt"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// Split divides a message to be protected into its Outer options and the
// plaintext (RFC 8613, Sections 4 and 5.3):
//
//	plaintext = code (1 byte) | class E options | [0xff | payload]
//
// Options that may be in both places go Inner; only Observe is Outer too,
// with its original value, while a response's Inner Observe is empty (Section
// 4.1.3.5). A Proxy-Uri is taken apart: path and query become Inner options,
// scheme and authority stay (Section 4.1.3.3). outer has no OSCORE option yet
// and room for one; its values alias those of m, which is not changed.
//
// ErrNested is returned if m carries an OSCORE option, ErrValue if its code is
// neither of a request nor of a response or an option cannot be encoded,
// ErrProxyURI for a Proxy-Uri that cannot be taken apart.
func Split(m message.Message) (outer message.Options, plaintext []byte, err error) {
	return SplitInto(nil, nil, m)
}

// SplitInto is Split with storage of the caller's: the contents of outerBuf
// are replaced, the plaintext is appended to dst.
func SplitInto(outerBuf message.Options, dst []byte, m message.Message) (outer message.Options, plaintext []byte, err error) {
	request := IsRequest(m.Code)
	if !request && !IsResponse(m.Code) {
		return nil, nil, fmt.Errorf("%w: code %s cannot be protected", ErrValue, CodeString(m.Code))
	}
	if err := checkOptions(m.Options); err != nil {
		return nil, nil, err
	}
	opts := sorted(m.Options)
	if Has(opts, message.ProxyURI) {
		if opts, err = explodeProxyURI(opts); err != nil {
			return nil, nil, err
		}
	}
	nouter := 0
	for _, o := range opts {
		if ClassOf(o.ID) == ClassU || o.ID == message.Observe {
			nouter++
		}
	}
	outer = outerBuf[:0]
	if cap(outer) < nouter+1 {
		outer = make(message.Options, 0, nouter+1)
	}
	if dst == nil {
		dst = make([]byte, 0, 1+sizeOptions(opts, m.Payload))
	}
	plaintext = append(dst, byte(m.Code))
	prev := message.OptionID(0)
	for _, o := range opts {
		class := ClassOf(o.ID)
		if o.ID == OSCORE {
			return nil, nil, ErrNested
		}
		if class == ClassU || o.ID == message.Observe {
			outer = append(outer, o)
		}
		if class&ClassE == 0 {
			continue
		}
		value := o.Value
		if o.ID == message.Observe && !request {
			value = nil
		}
		plaintext = appendOption(plaintext, int(o.ID-prev), value)
		prev = o.ID
	}
	if len(m.Payload) > 0 {
		plaintext = append(append(plaintext, payloadMarker), m.Payload...)
	}
	return outer, plaintext, nil
}

// PlaintextSize is an upper bound of the plaintext's length in bytes, for a
// message without Proxy-Uri.
func PlaintextSize(m message.Message) int { return 1 + sizeOptions(m.Options, m.Payload) }

// OuterRequestCode is the Outer Code of a protected request: FETCH if it has
// Observe, else POST (RFC 8613, Sections 4.1.3.5 and 4.2).
func OuterRequestCode(m message.Message) codes.Code {
	if Has(m.Options, message.Observe) {
		return FETCH
	}
	return codes.POST
}

// OuterResponseCode is the Outer Code of a protected response: 2.05 if it has
// Observe, else 2.04 (RFC 8613, Sections 4.1.3.5 and 4.2).
func OuterResponseCode(m message.Message) codes.Code {
	if Has(m.Options, message.Observe) {
		return codes.Content
	}
	return codes.Changed
}
