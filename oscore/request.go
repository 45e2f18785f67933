package oscore

import (
	"errors"
	"fmt"

	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/plgd-dev/go-coap/v3/message"
)

// RequestOptions says how a request is protected.
type RequestOptions struct {
	// OmitIDContext leaves kid context out although the context has an ID
	// Context, for a server known to find the context without it.
	OmitIDContext bool
	// OuterNoResponse repeats a No-Response option of value 26, no response of
	// any kind, outside as well, for proxies that know it (RFC 8613, Section
	// 4.1.3.6). Other values stay inside only.
	OuterNoResponse bool
}

// noResponseAtAll is the No-Response value that suppresses all known classes
// (RFC 7967, Section 2).
const noResponseAtAll = 26

// isRegistration reports Observe 0, in any of its encodings.
func isRegistration(opts message.Options) bool {
	v, ok := coapmsg.Get(opts, message.Observe)
	if !ok {
		return false
	}
	n, err := coapmsg.DecodeUint(v)
	return err == nil && n == 0
}

// outbound is allocated at once for a request: its exchange, and the Outer
// options of nearly all messages.
type outbound struct {
	Exchange
	opts [4]message.Option
}

// inbound likewise, with the Inner options of an ordinary request.
type inbound struct {
	Exchange
	opts [8]message.Option
}

// ProtectRequest protects a request (RFC 8613, Section 8.1). Token, type and
// Message ID of m are kept. The exchange opens the responses. Each call takes a
// sequence number, so a message is protected once and its bytes retransmitted.
//
// Errors: those of coapmsg.Split for a message that cannot be protected,
// ErrTooLong, ErrExchange if m is no request, ErrSequenceExhausted,
// ErrSequenceNotReserved. None of them spends a number.
func (c *Context) ProtectRequest(m message.Message, o RequestOptions) (message.Message, *Exchange, error) {
	if !coapmsg.IsRequest(m.Code) {
		return message.Message{}, nil, fmt.Errorf("%w: code %s is no request", ErrExchange, coapmsg.CodeString(m.Code))
	}
	x := new(outbound)
	outer, plaintext, head, err := c.prepare(x.opts[:0], m)
	if err != nil {
		return message.Message{}, nil, err
	}
	x.ctx, x.client, x.observe = c, true, isRegistration(m.Options)
	option := coapmsg.OSCOREOption{KID: c.senderID}
	if !o.OmitIDContext {
		option.KIDContext = c.kidContext
	}
	if option.Size()+coapmsg.MaxPIVSize > coapmsg.MaxOSCOREOption {
		return message.Message{}, nil, fmt.Errorf("%w: oscore option", ErrTooLong)
	}
	seq, err := c.sequence.Next()
	if err != nil {
		return message.Message{}, nil, err
	}
	x.pivSize = uint8(len(coapmsg.AppendPIV(x.piv[:0], seq)))
	option.PIV = x.requestPIV()
	if v, _ := coapmsg.Get(m.Options, coapmsg.NoResponse); o.OuterNoResponse && len(v) == 1 && v[0] == noResponseAtAll {
		outer = append(outer, message.Option{ID: coapmsg.NoResponse, Value: v})
	}
	m.Code = coapmsg.OuterRequestCode(m)
	m = c.seal(m, outer, plaintext, head, sealing{option, c.senderID, option.PIV, c.senderID, option.PIV})
	return m, &x.Exchange, nil
}

// UnprotectRequest verifies and decrypts a request (RFC 8613, Section 8.2),
// steps 1 to 7 and the rebuilding of the message. The exchange protects the
// responses.
//
// If the replay window was lost it returns the message and the exchange with
// ErrWindowInvalid: the message is authentic but may be a replay, and must not
// be acted upon. The caller either looks for an Echo option it made and calls
// ConfirmFresh, or answers a protected 4.01 with an Echo option
// (Appendix B.1.2); a response to it carries a Partial IV of its own.
//
// Other errors: ErrNotProtected, ErrMalformed, ErrNoContext, ErrReplay,
// ErrDecryption; see ErrorResponse. A message that does not verify changes
// nothing. The options of the result alias m and memory of the exchange.
func (c *Context) UnprotectRequest(m message.Message) (message.Message, *Exchange, error) {
	if !coapmsg.IsRequest(m.Code) {
		return message.Message{}, nil, fmt.Errorf("%w: code %s is no request", ErrExchange, coapmsg.CodeString(m.Code))
	}
	option, err := parse(m)
	if err != nil {
		return message.Message{}, nil, err
	}
	if option.PIV == nil || option.KID == nil {
		return message.Message{}, nil, fmt.Errorf("%w: request without partial iv or kid", ErrMalformed)
	}
	if !c.Matches(option) {
		return message.Message{}, nil, ErrNoContext
	}
	x := new(inbound)
	x.ctx = c
	x.setPIV(option.PIV)
	seq := x.RequestSequence()
	if err := c.check(seq); errors.Is(err, ErrReplay) {
		return message.Message{}, nil, err
	}
	plaintext, err := c.open(c.recipient, m.Payload, c.recipientID, option.PIV, c.recipientID, option.PIV)
	if err != nil {
		return message.Message{}, nil, err
	}
	verdict := c.accept(seq)
	if errors.Is(verdict, ErrReplay) {
		return message.Message{}, nil, verdict
	}
	x.noReuse = verdict != nil
	inner, err := coapmsg.JoinInto(x.opts[:0], m, plaintext)
	if err != nil {
		return message.Message{}, nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	x.observe = isRegistration(inner.Options)
	return inner, &x.Exchange, verdict
}
