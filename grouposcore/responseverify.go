package grouposcore

import (
	"bytes"
	"fmt"

	"github.com/plgd-dev/go-coap/v3/message"

	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// UnprotectResponse verifies and decrypts a response in the exchange of its
// request, whatever the modes of the two (Sections 7.4 and 8.6). One Exchange
// takes the responses of many servers. On an error nothing in the exchange has
// changed, and the response must not be acted upon. The Observe value of a
// notification is set to the low-order three bytes of its Partial IV (RFC 8613,
// Section 4.1.3.5.2): it orders the notifications of one server under one Gid.
func (c *Context) UnprotectResponse(m message.Message, x *Exchange) (message.Message, Sender, error) {
	fail := func(err error) (message.Message, Sender, error) { return message.Message{}, Sender{}, err }
	if x == nil || x.client == nil {
		return fail(fmt.Errorf("%w: no request of ours", ErrExchange))
	}
	if !coapmsg.IsResponse(m.Code) {
		return fail(fmt.Errorf("%w: code %v is no response", ErrExchange, m.Code))
	}
	raw, opt, err := parseOption(m)
	if err != nil {
		return fail(err)
	}
	mode := modeOf(opt)
	if opt.KIDContext != nil && !bytes.Equal(opt.KIDContext, c.gid) {
		return fail(ErrNoContext)
	}
	if !c.Supports(mode) {
		return fail(&modeError{mode})
	}
	if opt.PIV == nil && x.origin != c.common {
		return fail(fmt.Errorf("%w: no partial iv under another context than the request's", ErrMalformed))
	}
	r, err := c.responder(x, opt)
	if err != nil {
		return fail(err)
	}
	e := envelope{mode: mode, req: x.req, option: raw, genID: x.req.kid, piv: x.req.piv}
	var seq uint64
	if opt.PIV != nil {
		if seq, err = coapmsg.DecodePIV(opt.PIV); err != nil {
			return fail(fmt.Errorf("%w: %w", ErrMalformed, err))
		}
		e.genID, e.piv = r.id, opt.PIV
	}
	if err := x.precheck(r, opt.PIV != nil, seq); err != nil {
		return fail(err)
	}
	plain, err := c.verify(&e, r, m.Payload)
	if err != nil {
		return fail(err)
	}
	var buf struct { // one piece of memory for what outlives the call
		opts [8]message.Option
		piv  [coapmsg.MaxPIVSize]byte
	}
	inner, err := coapmsg.JoinInto(buf.opts[:0], m, plain)
	if err != nil {
		return fail(fmt.Errorf("%w: %w", ErrMalformed, err))
	}
	notification := coapmsg.Has(inner.Options, message.Observe)
	if notification && !x.client.observe {
		return fail(fmt.Errorf("%w: notification without registration", ErrMalformed))
	}
	if err := x.accept(c, r, opt.PIV != nil, seq); err != nil {
		return fail(err)
	}
	var piv []byte
	if opt.PIV != nil {
		piv = append(buf.piv[:0], opt.PIV...)
	}
	if notification {
		setObserve(inner.Options, piv)
	}
	return inner, c.sender(r, mode, piv), nil
}

// responder finds the Recipient Context of a response's server: by its kid, or
// by the intended server of a pairwise request if there is none. In the reply
// to a pairwise request another kid is accepted only with the intended
// server's key: it has a new Sender ID then.
func (c *Context) responder(x *Exchange, opt coapmsg.OSCOREOption) (*recipient, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	kid, intended := opt.KID, x.client.intended
	if kid == nil {
		if intended == nil {
			return nil, fmt.Errorf("%w: no kid in the response to a group mode request", ErrMalformed)
		}
		kid = intended.id
	}
	if c.self != nil && bytes.Equal(kid, c.self.id) {
		return nil, ErrOwnSenderID
	}
	r, err := c.recipientOr(x.client.holds(c.common, kid), kid)
	if err != nil {
		return nil, err
	}
	if intended != nil && !sameKey(r.cred, intended.cred) {
		return nil, ErrWrongServer
	}
	return r, nil
}

// precheck refuses cheaply what could not be accepted after verification.
func (x *Exchange) precheck(r *recipient, hasPIV bool, seq uint64) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.closed || x.client.single && x.client.heard > 0 {
		return ErrExchangeDone
	}
	return x.client.admits(r, hasPIV, seq)
}

// accept checks again and records, atomically, after verification. A response
// under an invalid Replay Window is not delivered (Section 2.6.1.2), unless the
// request was made after new parameters had been obtained that make the window
// valid (Section 2.6.1.1): then the response is bound to a Partial IV that the
// loss cannot have to do with.
func (x *Exchange) accept(c *Context, r *recipient, hasPIV bool, seq uint64) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.closed || x.client.single && x.client.heard > 0 {
		return ErrExchangeDone
	}
	if r.removed.Load() {
		return ErrStale
	}
	if err := x.client.admits(r, hasPIV, seq); err != nil {
		return err
	}
	if x.client.holds(c.common, r.id) != r {
		admitted, err := c.peers.admit(r)
		if err != nil {
			return err
		}
		r = admitted
		if !r.valid() && (x.origin != c.common || !r.bornBy(x.client.since)) {
			return ErrWindowInvalid
		}
	}
	x.client.note(r, hasPIV, seq)
	if x.client.intended != nil {
		x.client.intended.id = r.id
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
