package oscore

import (
	"fmt"
	"io"
	"sync"

	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// B2Client is the client's side of one run of RFC 8613, Appendix B.2. Its
// steps are Request1, Response1, Request2, Response2; each may be repeated
// until the next one succeeded, for messages that got lost. A message that
// does not verify changes nothing. It is safe for concurrent use.
type B2Client struct {
	params *Params // behind a pointer: see Context.Format
	random io.Reader

	mu    sync.Mutex
	id1   []byte
	first *Context // ID Context R1; nil once the third exists
	third *Context // ID Context R2 || R3
}

// NewB2Client starts a run with a fresh R1. p are the inputs shared with the
// server; their ID Context is not used. random is a cryptographic source; nil
// means crypto/rand's.
func NewB2Client(p Params, random io.Reader) (*B2Client, error) {
	p, random, err := b2Check(p, random)
	if err != nil {
		return nil, err
	}
	r1, err := draw(random, B2NonceSize)
	if err != nil {
		return nil, err
	}
	first, err := b2Context(p, r1)
	if err != nil {
		return nil, err
	}
	return &B2Client{params: &p, random: random, id1: r1, first: first}, nil
}

// ContinueB2 joins a run the server starts: it answers a request of an
// existing context, protected by ProtectRequest as usual, with a response #1,
// which UnprotectResponse refuses with ErrDecryption and AnswersB2 recognises.
// Go on with Response1 and the exchange of that request. p are the inputs of
// current but for the ID Context, which current must have.
func ContinueB2(p Params, current *Context, random io.Reader) (*B2Client, error) {
	p, random, err := b2Check(p, random)
	if err != nil {
		return nil, err
	}
	if current == nil || len(current.idContext) == 0 {
		return nil, fmt.Errorf("%w: the context has no id context", ErrParams)
	}
	return &B2Client{params: &p, random: random, id1: current.idContext, first: current}, nil
}

// AnswersB2 reports whether a response has the outer form of a response #1, a
// kid context that holds an R2. It is not verified.
func AnswersB2(m message.Message) bool {
	option, err := parse(m)
	if err != nil || option.KIDContext == nil {
		return false
	}
	_, err = unwrap(option.KIDContext)
	return err == nil
}

// Request1 protects request #1. Any request will do: the server does not act
// upon it.
func (b *B2Client) Request1(m message.Message) (message.Message, *Exchange, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.first == nil {
		return message.Message{}, nil, fmt.Errorf("%w: request 1 after response 1", ErrExchange)
	}
	return b.first.ProtectRequest(m, RequestOptions{})
}

// Response1 verifies response #1, which answers the request of x, and derives
// the third context. It gives the message back, which is a 4.01.
//
// A server that forgot the run meanwhile, because another one was completed or
// it was restarted, takes request #2 for a request #1 and answers it with a
// response #1 again (see AnswersB2). That too is verified here; Request2 then
// goes on with another third context.
func (b *B2Client) Response1(m message.Message, x *Exchange) (message.Message, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	id1 := b.id1
	switch {
	case x == nil || x.ctx == nil || !x.client || !coapmsg.IsResponse(m.Code):
		return message.Message{}, fmt.Errorf("%w: response 1", ErrExchange)
	case x.ctx == b.first:
	case x.ctx == b.third:
		id1 = b.third.idContext
	default:
		return message.Message{}, fmt.Errorf("%w: response 1 to a request of another run", ErrExchange)
	}
	option, err := parse(m)
	if err != nil {
		return message.Message{}, err
	}
	if option.KIDContext == nil {
		return message.Message{}, fmt.Errorf("%w: response 1 without kid context", ErrMalformed)
	}
	r2, err := unwrap(option.KIDContext)
	if err != nil {
		return message.Message{}, err
	}
	r3, err := draw(b.random, B2NonceSize)
	if err != nil {
		return message.Message{}, err
	}
	id3 := concat(r2, r3)
	if !fitsOption(id3, b.params.SenderID) {
		return message.Message{}, fmt.Errorf("%w: r2 of %d bytes", ErrTooLong, len(r2))
	}
	second, err := b2Context(*b.params, concat(r2, id1))
	if err != nil {
		return message.Message{}, err
	}
	inner, err := second.unprotectResponse(m, x)
	if err != nil {
		return message.Message{}, err
	}
	if inner.Code != codes.Unauthorized {
		return message.Message{}, fmt.Errorf("%w: response 1 has code %s", ErrMalformed, coapmsg.CodeString(inner.Code))
	}
	third, err := b2Context(*b.params, id3)
	if err != nil {
		return message.Message{}, err
	}
	b.third, b.first = third, nil
	return inner, nil
}

// Request2 protects a request with the third context. The server acts upon
// it.
func (b *B2Client) Request2(m message.Message) (message.Message, *Exchange, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.third == nil {
		return message.Message{}, nil, fmt.Errorf("%w: request 2 before response 1", ErrExchange)
	}
	return b.third.ProtectRequest(m, RequestOptions{})
}

// Response2 verifies the response to a request #2. From then on the context it
// returns is the one to use with this server; it must not outlive the process,
// since its sequence is not stored.
func (b *B2Client) Response2(m message.Message, x *Exchange) (message.Message, *Context, error) {
	b.mu.Lock()
	third := b.third
	b.mu.Unlock()
	if third == nil {
		return message.Message{}, nil, fmt.Errorf("%w: response 2 before response 1", ErrExchange)
	}
	inner, err := third.UnprotectResponse(m, x)
	if err != nil {
		return message.Message{}, nil, err
	}
	return inner, third, nil
}

// Format names the run without its keys, whatever the verb.
func (b *B2Client) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "oscore b.2 client (sender id %x, recipient id %x)", b.params.SenderID, b.params.RecipientID)
}
