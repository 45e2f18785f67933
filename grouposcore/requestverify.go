package grouposcore

import (
	"bytes"
	"crypto/cipher"
	"fmt"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"

	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// UnprotectRequest verifies and decrypts a request (Sections 7.2 and 8.4). The
// order is: option, context, mode, own kid, Recipient Context, replay,
// countersignature, decryption, replay again; only then is anything recorded.
//
// With ErrWindowInvalid and ErrNotFresh message, exchange and sender are
// returned too, if the client is to be challenged: the request verified, but
// must not be delivered before [Context.ConfirmFresh]. An error without an
// exchange discards the message.
func (c *Context) UnprotectRequest(m message.Message) (message.Message, *Exchange, Sender, error) {
	return c.unprotectRequest(m, time.Time{})
}

// unprotectRequest is UnprotectRequest of a message received at now; the zero
// time says that this is not known.
func (c *Context) unprotectRequest(m message.Message, now time.Time) (message.Message, *Exchange, Sender, error) {
	fail := func(err error) (message.Message, *Exchange, Sender, error) {
		return message.Message{}, nil, Sender{}, err
	}
	if !coapmsg.IsRequest(m.Code) {
		return fail(fmt.Errorf("%w: code %v is no request", ErrExchange, m.Code))
	}
	raw, opt, err := parseOption(m)
	if err != nil {
		return fail(err)
	}
	if opt.KID == nil || opt.KIDContext == nil || opt.PIV == nil {
		return fail(fmt.Errorf("%w: request without kid, kid context or partial iv", ErrMalformed))
	}
	if !bytes.Equal(opt.KIDContext, c.gid) {
		return fail(ErrNoContext)
	}
	mode := modeOf(opt)
	if !c.Supports(mode) {
		return fail(&modeError{mode})
	}
	if c.self != nil && bytes.Equal(opt.KID, c.self.id) {
		return fail(ErrOwnSenderID)
	}
	seq, err := coapmsg.DecodePIV(opt.PIV)
	if err != nil {
		return fail(fmt.Errorf("%w: %w", ErrMalformed, err))
	}
	r, err := c.recipient(opt.KID)
	if err != nil {
		return fail(err)
	}
	if err := r.check(seq); err != nil {
		return fail(err)
	}
	x := new(incoming)
	req := binding{kid: r.id, piv: append(x.piv[:0], opt.PIV...), gid: c.gid}
	plain, err := c.verify(&envelope{
		mode: mode, request: true, req: req, option: raw, genID: r.id, piv: req.piv,
	}, r, m.Payload)
	if err != nil {
		return fail(err)
	}
	if r, err = c.peers.admit(r); err != nil {
		return fail(err)
	}
	fresh, err := r.accept(seq)
	verdict, challenge := c.judge(err, fresh, now)
	if verdict != nil && !challenge {
		return fail(verdict)
	}
	inner, jerr := coapmsg.JoinInto(x.opts[:0], m, plain)
	if jerr != nil {
		return fail(fmt.Errorf("%w: %w", ErrMalformed, jerr))
	}
	x.req, x.mode, x.origin, x.server = req, mode, c.common, &x.side
	x.side = serverSide{client: r, self: c.self, seq: seq, noReuse: err != nil, unproven: verdict != nil}
	return inner, &x.Exchange, c.sender(r, mode, req.piv), verdict
}

// verify opens a payload under the key of its mode.
func (c *Context) verify(e *envelope, r *recipient, payload []byte) ([]byte, error) {
	var enc cipher.AEAD
	if e.mode == PairwiseMode {
		pair, err := c.pairKeys(c.self, r)
		if err != nil {
			return nil, err
		}
		enc = pair.recv
	}
	s := c.getScratch()
	defer c.putScratch(s)
	return c.open(s, e, r, enc, payload)
}

// parseOption finds and reads the one OSCORE option of a message.
func parseOption(m message.Message) (raw []byte, opt coapmsg.OSCOREOption, err error) {
	raw, n := coapmsg.FindOSCORE(m.Options)
	if n == 0 {
		return nil, opt, ErrNotProtected
	}
	if n > 1 {
		return nil, opt, fmt.Errorf("%w: %d oscore options", ErrMalformed, n)
	}
	if opt, err = coapmsg.ParseOSCOREOption(raw); err != nil {
		return nil, opt, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if len(m.Payload) == 0 {
		return nil, opt, fmt.Errorf("%w: no payload", ErrMalformed)
	}
	return raw, opt, nil
}

// modeOf reads the Group Flag (Section 4.1).
func modeOf(o coapmsg.OSCOREOption) Mode {
	if o.Group {
		return GroupMode
	}
	return PairwiseMode
}

// sender describes who a message was from.
func (c *Context) sender(r *recipient, mode Mode, piv []byte) Sender {
	return Sender{ID: r.id, Gid: c.gid, Credential: r.cred, Mode: mode, PartialIV: piv}
}
