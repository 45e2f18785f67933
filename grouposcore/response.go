package grouposcore

import (
	"bytes"
	"crypto/cipher"
	"fmt"

	"github.com/plgd-dev/go-coap/v3/message"

	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// ResponseOptions says how to protect a response. What a text demands is done
// in any case: see ProtectResponse.
type ResponseOptions struct {
	// Mode is mandatory; it need not be that of the request.
	Mode Mode
	// PIV includes an own Partial IV where it could be left out. An Echo
	// challenge sets it (Section 9).
	PIV bool
	// OmitKID leaves out the kid in the answer to a pairwise request.
	OmitKID bool
	// KIDContext includes the Gid where it is not demanded.
	KIDContext bool
}

// ProtectResponse protects a response in group mode (Section 7.3) or pairwise
// mode (Section 8.5), always with this context's own Sender Context, which has
// to be the latest. m is not changed.
//
// An own Partial IV is carried unless this is the first response to a request
// that was accepted under this very Sender Context. The kid is carried unless
// it may and shall be omitted; the kid context whenever the Gid is not the
// request's.
func (c *Context) ProtectResponse(m message.Message, x *Exchange, o ResponseOptions) (message.Message, error) {
	if c.self == nil {
		return message.Message{}, ErrSilent
	}
	if x == nil || x.server == nil {
		return message.Message{}, fmt.Errorf("%w: no request to respond to", ErrExchange)
	}
	if !coapmsg.IsResponse(m.Code) {
		return message.Message{}, fmt.Errorf("%w: code %v is no response", ErrExchange, m.Code)
	}
	if !c.Supports(o.Mode) {
		return message.Message{}, &modeError{o.Mode}
	}
	enc, err := c.responseCipher(x, o.Mode)
	if err != nil {
		return message.Message{}, err
	}
	var buf struct { // one piece of memory for what a response needs
		opts [4]message.Option
		piv  [coapmsg.MaxPIVSize]byte
	}
	d, err := c.prepare(buf.opts[:0], m, o.Mode)
	if err != nil {
		return message.Message{}, err
	}
	e := envelope{mode: o.Mode, req: x.req, genID: x.req.kid, piv: x.req.piv}
	opt := coapmsg.OSCOREOption{Group: o.Mode == GroupMode}
	own, err := c.claim(x, o)
	if err != nil {
		return message.Message{}, err
	}
	if own {
		seq, err := c.self.seq.Next()
		if err != nil {
			return message.Message{}, err
		}
		opt.PIV = coapmsg.AppendPIV(buf.piv[:0], seq)
		e.genID, e.piv = c.self.id, opt.PIV
	}
	if c.tellsKID(x, o) {
		opt.KID = c.self.id
	}
	if o.KIDContext || !bytes.Equal(x.req.gid, c.gid) {
		opt.KIDContext = c.gid
	}
	m.Code = coapmsg.OuterResponseCode(m)
	return c.seal(m, d, opt, &e, enc)
}

// claim decides whether a response needs an own Partial IV, and takes the
// request's nonce out of use: it serves one response at most, the first, under
// the Sender Context that accepted the request (Sections 5.3.1 and 7.3).
func (c *Context) claim(x *Exchange, o ResponseOptions) (ownPIV bool, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.closed {
		return false, ErrExchangeDone
	}
	first := !x.server.answered
	x.server.answered = true
	same := x.origin == c.common && x.server.self == c.self
	return o.PIV || !first || !same || x.server.noReuse, nil
}

// tellsKID decides on the kid: always in the answer to a group mode request
// (Section 3.2), and after the own Sender ID changed, at least the first time
// towards that client (Sections 7.3 and 8.5).
func (c *Context) tellsKID(x *Exchange, o ResponseOptions) bool {
	r := x.server.client
	r.mu.Lock()
	defer r.mu.Unlock()
	if !o.OmitKID || x.mode == GroupMode || x.server.self != c.self || c.self.renewed && r.told != c.self {
		r.told = c.self
		return true
	}
	return false
}

// responseCipher picks the key of a response. In a context later than the
// request's the client is found again by its credential: the Pairwise Sender
// Key does not depend on the client's Sender ID, which may have changed.
func (c *Context) responseCipher(x *Exchange, mode Mode) (cipher.AEAD, error) {
	r := x.server.client
	if r.home.peers.gone(r) {
		return nil, ErrStale
	}
	if mode == GroupMode {
		return c.self.enc, nil
	}
	if x.origin == c.common {
		pair, err := c.pairKeys(c.self, r)
		if err != nil {
			return nil, err
		}
		return pair.send, nil
	}
	return c.sendCipher(c.self, r)
}
