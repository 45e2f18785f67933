package oscore

import (
	"bytes"
	"fmt"

	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/plgd-dev/go-coap/v3/message"
)

// ResponseOptions says what a response carries beyond what it must.
type ResponseOptions struct {
	// PIV takes a Partial IV of the server's own. Without it the first response
	// of an exchange uses the request's nonce, which is shorter; every later
	// one takes its own anyway.
	PIV bool
	// KID sends the Sender ID as kid.
	KID bool
	// KIDContext sends the ID Context as kid context, if there is one.
	KIDContext bool
	// NoCache adds an Outer Max-Age of 0, so that a proxy that knows nothing of
	// OSCORE does not keep a notification, whose Outer Code is cacheable (RFC
	// 8613, Section 4.1.3.1). Other responses need none.
	NoCache bool
}

// ProtectResponse protects a response, or a notification, to the request of x
// (RFC 8613, Section 8.3). Token, type and Message ID of m are kept.
//
// The request's nonce protects at most one response (Section 8.3): the second
// and later ones take a Partial IV, as does any response to a request that
// could not be told from a replay.
//
// Errors: those of coapmsg.Split, ErrTooLong, ErrExchange, ErrSequenceExhausted
// (also for a response without Partial IV, Section 7.2.1),
// ErrSequenceNotReserved.
func (c *Context) ProtectResponse(m message.Message, x *Exchange, o ResponseOptions) (message.Message, error) {
	if x == nil || x.ctx != c || x.client || !coapmsg.IsResponse(m.Code) {
		return message.Message{}, fmt.Errorf("%w: response with code %s", ErrExchange, coapmsg.CodeString(m.Code))
	}
	var option coapmsg.OSCOREOption
	if o.KID {
		option.KID = c.senderID
	}
	if o.KIDContext {
		option.KIDContext = c.kidContext
	}
	if option.Size()+coapmsg.MaxPIVSize > coapmsg.MaxOSCOREOption {
		return message.Message{}, fmt.Errorf("%w: oscore option", ErrTooLong)
	}
	outer, plaintext, head, err := c.prepare(nil, m)
	if err != nil {
		return message.Message{}, err
	}
	if c.sequence.Exhausted() {
		return message.Message{}, ErrSequenceExhausted
	}
	s := sealing{option, x.requestKID(), x.requestPIV(), x.requestKID(), x.requestPIV()}
	var piv [coapmsg.MaxPIVSize]byte
	if own := x.claim(o.PIV); own {
		seq, err := c.sequence.Next()
		if err != nil {
			return message.Message{}, err
		}
		s.option.PIV = coapmsg.AppendPIV(piv[:0], seq)
		s.id, s.piv = c.senderID, s.option.PIV
	}
	if o.NoCache {
		outer = coapmsg.Insert(outer, message.Option{ID: message.MaxAge, Value: []byte{}})
	}
	m.Code = coapmsg.OuterResponseCode(m)
	return c.seal(m, outer, plaintext, head, s), nil
}

// claim decides whether a response takes its own Partial IV, and if not spends
// the request's nonce.
func (x *Exchange) claim(wanted bool) (own bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	own = wanted || x.answered || x.noReuse
	x.answered = true
	return own
}

// UnprotectResponse verifies and decrypts a response to the request of x (RFC
// 8613, Section 8.4). To a request without Observe one response is accepted.
// To a registration notifications are accepted in the order of their Partial
// IVs: one that is not newer than all before it is ErrReplay, the one without
// Partial IV counting as the oldest (Section 7.4.1); a response without Inner
// Observe ends the exchange. The Observe value of a notification is set to the
// low-order three bytes of its Partial IV (Section 4.1.3.5.2).
//
// Errors: ErrNotProtected, ErrMalformed, ErrReplay, ErrDecryption, ErrExchange.
// After any of them the exchange is as it was: a forged response neither closes
// it nor ends an observation.
func (c *Context) UnprotectResponse(m message.Message, x *Exchange) (message.Message, error) {
	if x == nil || x.ctx != c || !x.client || !coapmsg.IsResponse(m.Code) {
		return message.Message{}, fmt.Errorf("%w: response with code %s", ErrExchange, coapmsg.CodeString(m.Code))
	}
	return c.unprotectResponse(m, x)
}

// unprotectResponse also opens a response that another context than the
// request's protects (Appendix B.2).
func (c *Context) unprotectResponse(m message.Message, x *Exchange) (message.Message, error) {
	option, err := parse(m)
	if err != nil {
		return message.Message{}, err
	}
	if option.KID != nil && !bytes.Equal(option.KID, c.recipientID) {
		return message.Message{}, fmt.Errorf("%w: kid of a response is not the peer's", ErrMalformed)
	}
	id, piv := x.requestKID(), x.requestPIV()
	if option.PIV != nil {
		id, piv = c.recipientID, option.PIV
	}
	x.mu.Lock()
	err = x.acceptable(option.PIV)
	x.mu.Unlock()
	if err != nil {
		return message.Message{}, err
	}
	plaintext, err := c.open(c.recipient, m.Payload, id, piv, x.requestKID(), x.requestPIV())
	if err != nil {
		return message.Message{}, err
	}
	inner, err := coapmsg.Join(m, plaintext)
	if err != nil {
		return message.Message{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	notification := coapmsg.Has(inner.Options, message.Observe)
	if notification && !x.observe {
		return message.Message{}, fmt.Errorf("%w: notification without registration", ErrMalformed)
	}
	if err := x.record(option.PIV, notification); err != nil {
		return message.Message{}, err
	}
	if notification {
		setObserve(inner.Options, option.PIV)
	}
	return inner, nil
}

// acceptable judges whether a response with this Partial IV, nil for none, may
// still come. x.mu is held.
func (x *Exchange) acceptable(piv []byte) error {
	switch {
	case x.ended:
		return ErrReplay
	case piv == nil:
		if x.answered {
			return ErrReplay
		}
	case x.notified:
		if seq, err := coapmsg.DecodePIV(piv); err != nil || seq <= x.highest {
			return ErrReplay
		}
	}
	return nil
}

// record judges again and moves on, after the response verified.
func (x *Exchange) record(piv []byte, notification bool) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if err := x.acceptable(piv); err != nil {
		return err
	}
	x.answered = true
	x.ended = !notification
	if piv != nil {
		seq, err := coapmsg.DecodePIV(piv)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		x.highest, x.notified = seq, true
	}
	return nil
}

// setObserve puts a notification's order into its Observe option, for layers
// above that go by it. The value aliases piv.
func setObserve(opts message.Options, piv []byte) {
	if len(piv) > 3 {
		piv = piv[len(piv)-3:]
	}
	for len(piv) > 0 && piv[0] == 0 {
		piv = piv[1:]
	}
	for i := range opts {
		if opts[i].ID == message.Observe {
			opts[i].Value = piv
		}
	}
}
