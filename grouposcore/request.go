package grouposcore

import (
	"bytes"
	"crypto/cipher"
	"fmt"

	"github.com/plgd-dev/go-coap/v3/message"

	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// RequestOptions says how to protect a request.
type RequestOptions struct {
	// Mode is mandatory. Requests for one member are better protected in
	// pairwise mode, where the group has it (Section 14.9).
	Mode Mode
	// To is the Sender ID of the one server a pairwise request is for.
	To []byte
	// Unicast says that a group mode request goes to one server only: like a
	// pairwise request it then has one response, unless it observes.
	Unicast bool
}

// ProtectRequest protects a request in group mode (Section 7.1) or pairwise
// mode (Section 8.3). The result has the Token, type and Message ID of m; m is
// not changed. A retransmission by the application sends the same result again
// and never protects m a second time. The Exchange accepts the responses.
func (c *Context) ProtectRequest(m message.Message, o RequestOptions) (message.Message, *Exchange, error) {
	if c.self == nil {
		return message.Message{}, nil, ErrSilent
	}
	if !coapmsg.IsRequest(m.Code) {
		return message.Message{}, nil, fmt.Errorf("%w: code %v is no request", ErrExchange, m.Code)
	}
	x := new(outgoing)
	x.mode, x.origin, x.client = o.Mode, c.common, &x.side
	x.side.since, x.side.observe = c.self.born, registers(m.Options)
	x.side.single = (o.Mode == PairwiseMode || o.Unicast) && !x.side.observe
	enc, err := c.requestCipher(x, o)
	if err != nil {
		return message.Message{}, nil, err
	}
	d, err := c.prepare(x.opts[:0], m, o.Mode)
	if err != nil {
		return message.Message{}, nil, err
	}
	seq, err := c.self.seq.Next()
	if err != nil {
		return message.Message{}, nil, err
	}
	x.req = binding{kid: c.self.id, piv: coapmsg.AppendPIV(x.piv[:0], seq), gid: c.gid}
	m.Code = coapmsg.OuterRequestCode(m)
	opt := coapmsg.OSCOREOption{PIV: x.req.piv, KIDContext: c.gid, KID: c.self.id, Group: o.Mode == GroupMode}
	m, err = c.seal(m, d, opt, &envelope{
		mode: o.Mode, request: true, req: x.req, genID: c.self.id, piv: x.req.piv,
	}, enc)
	if err != nil {
		return message.Message{}, nil, err
	}
	return m, &x.Exchange, nil
}

// requestCipher picks the key of a request, and notes the intended server of a
// pairwise one.
func (c *Context) requestCipher(x *outgoing, o RequestOptions) (cipher.AEAD, error) {
	if !c.Supports(o.Mode) {
		return nil, &modeError{o.Mode}
	}
	if o.Mode == GroupMode {
		return c.self.enc, nil
	}
	if o.To == nil {
		return nil, fmt.Errorf("%w: pairwise request without recipient", ErrExchange)
	}
	if bytes.Equal(o.To, c.self.id) {
		return nil, ErrOwnSenderID
	}
	r, err := c.recipient(o.To)
	if err != nil {
		return nil, err
	}
	// What is sent to is known by its credential: no message has to verify
	// before the Recipient Context is kept (Section 8.1).
	if r, err = c.peers.admit(r); err != nil {
		return nil, err
	}
	pair, err := c.pairKeys(c.self, r)
	if err != nil {
		return nil, err
	}
	x.to = peer{id: r.id, cred: r.cred}
	x.side.intended = &x.to
	return pair.send, nil
}

// registers reports whether a request registers an observation: then it opens a
// long exchange (Section 1.1). Observe 1 ends one (RFC 7641, Section 2).
func registers(opts message.Options) bool {
	v, ok := coapmsg.Get(opts, message.Observe)
	if !ok {
		return false
	}
	n, err := coapmsg.DecodeUint(v)
	return err != nil || n == 0
}
