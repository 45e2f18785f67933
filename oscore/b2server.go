package oscore

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"io"
	"sync"

	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/internal/secret"
	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// b2MACSize is the length of the HMAC in R2, in bytes (RFC 8613, Appendix
// B.2.1).
const b2MACSize = 8

// b2R2Size is the length of R2 = S2 || HMAC(K_HMAC, S2).
const b2R2Size = B2NonceSize + b2MACSize

// B2Server is the server's side of RFC 8613, Appendix B.2, for one client. It
// holds one HMAC key from the first request #1 until a run is completed or
// Forget is called, however many runs are begun (Appendix B.2.1); an R2 of
// before is worth nothing then. It is safe for concurrent use.
type B2Server struct {
	params *Params // behind a pointer: see Context.Format
	random io.Reader

	mu  sync.Mutex
	key *secret.Bytes // K_HMAC; nil if no run is open
}

// NewB2Server takes the inputs shared with the client. Their ID Context, if
// any, is that of an existing context with this client: it stands for R1 if a
// request carries it plainly or has no kid context. random is a cryptographic source; nil means
// crypto/rand's.
func NewB2Server(p Params, random io.Reader) (*B2Server, error) {
	p, random, err := b2Check(p, random)
	if err != nil {
		return nil, err
	}
	return &B2Server{params: &p, random: random}, nil
}

// B2Opened is what became of a request: a response #1 to send, or an
// established context with the request to act upon.
type B2Opened struct {
	// Context is the established context; nil if the request was a request #1.
	Context *Context
	// Message is, with a Context, the request #2 to act upon; else the
	// protected response #1 to send, with the request's token and without type
	// and Message ID.
	Message message.Message
	// Exchange protects the response to a request #2.
	Exchange *Exchange
}

// Open handles a request that no established context matches, be it a request
// #1 or #2. Errors are those of UnprotectRequest.
func (b *B2Server) Open(m message.Message) (B2Opened, error) {
	option, err := b.parse(m)
	if err != nil {
		return B2Opened{}, err
	}
	if option.KIDContext != nil {
		if id3, err := unwrap(option.KIDContext); err == nil && b.issued(id3) {
			inner, ctx, x, err := b.OpenRequest2(m)
			return B2Opened{Context: ctx, Message: inner, Exchange: x}, err
		}
	}
	resp, err := b.OpenRequest1(m)
	return B2Opened{Message: resp}, err
}

// OpenRequest1 verifies a request #1 and returns the protected response #1,
// a 4.01 with the request's token, without type and Message ID. The request is
// not to be acted upon, and may be a replay: the server keeps nothing of it.
func (b *B2Server) OpenRequest1(m message.Message) (message.Message, error) {
	option, err := b.parse(m)
	if err != nil {
		return message.Message{}, err
	}
	id1, first, err := b.first(option)
	if err != nil {
		return message.Message{}, err
	}
	_, x, err := first.UnprotectRequest(m)
	if err != nil {
		return message.Message{}, err
	}
	r2, err := b.issue()
	if err != nil {
		return message.Message{}, err
	}
	p := *b.params
	p.IDContext = concat(r2, id1)
	second, err := newContext(p, NewEphemeralSequence(), wrap(r2))
	if err != nil {
		return message.Message{}, err
	}
	x.ctx = second
	resp := message.Message{Code: codes.Unauthorized, Token: bytes.Clone(m.Token), Type: message.Unset, MessageID: -1}
	return second.ProtectResponse(resp, x, ResponseOptions{KIDContext: true})
}

// OpenRequest2 verifies a request #2, whose kid context begins with an R2 of
// this server, and returns the request to act upon, the established context and
// the exchange for its response. It completes the run: the HMAC key is erased,
// so a copy of the request, or another run begun in parallel, comes too late.
// The context replaces whatever context there was with this client; it must
// not outlive the process, since its sequence is not stored.
func (b *B2Server) OpenRequest2(m message.Message) (message.Message, *Context, *Exchange, error) {
	fail := func(err error) (message.Message, *Context, *Exchange, error) {
		return message.Message{}, nil, nil, err
	}
	option, err := b.parse(m)
	if err != nil {
		return fail(err)
	}
	if option.KIDContext == nil {
		return fail(ErrNoContext)
	}
	id3, err := unwrap(option.KIDContext)
	if err != nil {
		return fail(ErrNoContext)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.issuedLocked(id3) {
		return fail(ErrNoContext)
	}
	third, err := b2Context(*b.params, id3)
	if err != nil {
		return fail(err)
	}
	inner, x, err := third.UnprotectRequest(m)
	if err != nil {
		return fail(err)
	}
	b.forgetLocked()
	return inner, third, x, nil
}

// Forget ends all open runs, for instance after a time: request #2 of any of
// them is refused from now on.
func (b *B2Server) Forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forgetLocked()
}

// Pending reports whether a request #2 may still come.
func (b *B2Server) Pending() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.key != nil
}

func (b *B2Server) forgetLocked() {
	if b.key != nil {
		b.key.Wipe()
		b.key = nil
	}
}

// parse reads the option of a request of this client.
func (b *B2Server) parse(m message.Message) (coapmsg.OSCOREOption, error) {
	if !coapmsg.IsRequest(m.Code) {
		return coapmsg.OSCOREOption{}, fmt.Errorf("%w: code %s is no request", ErrExchange, coapmsg.CodeString(m.Code))
	}
	option, err := parse(m)
	if err != nil {
		return option, err
	}
	if option.PIV == nil || option.KID == nil {
		return option, fmt.Errorf("%w: request without partial iv or kid", ErrMalformed)
	}
	if !bytes.Equal(option.KID, b.params.RecipientID) {
		return option, ErrNoContext
	}
	return option, nil
}

// first derives the context of a request #1.
func (b *B2Server) first(option coapmsg.OSCOREOption) (id1 []byte, c *Context, err error) {
	known := b.params.IDContext
	if known != nil && (option.KIDContext == nil || bytes.Equal(option.KIDContext, known)) {
		c, err = NewContext(*b.params, NewEphemeralSequence())
		return known, c, err
	}
	if option.KIDContext == nil {
		return nil, nil, ErrNoContext
	}
	id1, err = unwrap(option.KIDContext)
	if err != nil {
		return nil, nil, ErrNoContext
	}
	c, err = b2Context(*b.params, id1)
	return id1, c, err
}

// issue makes a new R2.
func (b *B2Server) issue() ([]byte, error) {
	s2, err := draw(b.random, B2NonceSize)
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.key == nil {
		key, err := draw(b.random, sha256.Size)
		if err != nil {
			return nil, err
		}
		b.key = (*secret.Bytes)(&key)
	}
	return append(s2, b.mac(s2)...), nil
}

// issued reports whether an ID3 begins with an R2 of an open run.
func (b *B2Server) issued(id3 []byte) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.issuedLocked(id3)
}

func (b *B2Server) issuedLocked(id3 []byte) bool {
	if b.key == nil || len(id3) < b2R2Size+B2NonceSize {
		return false
	}
	return hmac.Equal(id3[B2NonceSize:b2R2Size], b.mac(id3[:B2NonceSize]))
}

func (b *B2Server) mac(s2 []byte) []byte {
	h := hmac.New(sha256.New, *b.key)
	h.Write(s2)
	return h.Sum(nil)[:b2MACSize]
}

// Format names the server's side without its keys, whatever the verb.
func (b *B2Server) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "oscore b.2 server (sender id %x, recipient id %x)", b.params.SenderID, b.params.RecipientID)
}
