package endpoint

import (
	"context"
	"errors"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/oscore"
)

// B2Session is the Protector of WithB2 for a client that keeps its context for
// as long as the server has it, and derives another one in a new B2Session
// afterwards. It is given up before that, and nothing is sent under it from then
// on: to the server that would look like a second holder of the secret. So it is
// given up for what the server said under its keys, and for nothing else: whoever
// holds back a request and forges an answer to it could otherwise deliver that
// request after another context was derived.
//
// As with WithB2, requests must be made one after the other until the first one
// was answered. It is safe for concurrent use otherwise.
type B2Session struct {
	client    *oscore.B2Client
	protector Protector
	over      context.Context
	giveUp    context.CancelFunc
}

// ErrGivenUp is returned for requests under a B2Session that was given up.
var ErrGivenUp = errors.New("the context is given up for another one")

// NewB2Session takes up a run of RFC 8613, Appendix B.2, with a server.
func NewB2Session(client *oscore.B2Client) *B2Session {
	s := &B2Session{client: client, protector: WithB2(client, nil)}
	s.over, s.giveUp = context.WithCancel(context.Background())
	return s
}

// GiveUp ends the session.
func (s *B2Session) GiveUp() { s.giveUp() }

// Over returns a context that ends with the session.
func (s *B2Session) Over() context.Context { return s.over }

// Lost reports whether the outcome of a request under the session says that
// another B2Session is the way on: the server has started anew, or refuses the
// context. Both are verified. A request that got no answer, or one in clear, is
// to be repeated under the same session.
func (s *B2Session) Lost(r *Response, err error) bool {
	return s.over.Err() != nil || err == nil && r.Code == codes.Unauthorized
}

// ProtectRequest implements Protector.
func (s *B2Session) ProtectRequest(m message.Message) (message.Message, ResponseOpener, error) {
	if s.over.Err() != nil {
		return m, nil, ErrGivenUp
	}
	m, open, err := s.protector.ProtectRequest(m)
	if o, established := open.(oscoreOpener); established && err == nil {
		open = lossOpener{o, s}
	}
	return m, open, err
}

// lossOpener opens responses under an established context. A server that has
// started anew takes the kid context of the request for that of a request #1 and
// answers with a response #1 (RFC 8613, Appendix B.2): the session is given up
// once that is verified.
type lossOpener struct {
	oscoreOpener
	s *B2Session
}

// OpenResponse implements ResponseOpener.
func (o lossOpener) OpenResponse(m message.Message, at time.Time) (message.Message, Peer, error) {
	in, peer, err := o.oscoreOpener.OpenResponse(m, at)
	if err != nil && oscore.AnswersB2(m) {
		if _, refused := o.s.client.Response1(m, o.x); refused == nil {
			o.s.giveUp()
			return m, Peer{}, ErrAgain // which is refused by ProtectRequest
		}
	}
	return in, peer, err
}
