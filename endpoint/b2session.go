package endpoint

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/oscore"
)

// B2Session is the Protector of WithB2 for a client that keeps its context for
// as long as the server has it, and derives another one in a new B2Session
// afterwards. It is given up before that, and nothing is sent under it from then
// on: to the server that would look like a second holder of the secret.
//
// As with WithB2, requests must be made one after the other until the first one
// was answered. It is safe for concurrent use otherwise.
type B2Session struct {
	protector   Protector
	established atomic.Bool
	over        context.Context
	giveUp      context.CancelFunc
}

// ErrGivenUp is returned for requests under a B2Session that was given up.
var ErrGivenUp = errors.New("the context is given up for another one")

// NewB2Session takes up a run of RFC 8613, Appendix B.2, with a server.
func NewB2Session(client *oscore.B2Client) *B2Session {
	s := &B2Session{}
	s.protector = WithB2(client, func(*oscore.Context) { s.established.Store(true) })
	s.over, s.giveUp = context.WithCancel(context.Background())
	return s
}

// GiveUp ends the session.
func (s *B2Session) GiveUp() { s.giveUp() }

// Over returns a context that ends with the session.
func (s *B2Session) Over() context.Context { return s.over }

// Lost reports whether the outcome of a request under the session says that the
// server has the context no longer: another B2Session is the way back. Such
// answers are not authenticated. Anybody on the path can bring one about, which
// costs the client one exchange more.
func (s *B2Session) Lost(r *Response, err error) bool {
	if errors.Is(err, ErrGivenUp) || err == nil && r.Code == codes.Unauthorized {
		return true
	}
	var clear *UnprotectedError
	return errors.As(err, &clear) && (clear.Code == codes.Unauthorized || clear.Code == codes.BadRequest)
}

// ProtectRequest implements Protector.
func (s *B2Session) ProtectRequest(m message.Message) (message.Message, ResponseOpener, error) {
	if s.over.Err() != nil {
		return m, nil, ErrGivenUp
	}
	established := s.established.Load()
	m, open, err := s.protector.ProtectRequest(m)
	if err == nil && established {
		open = lossOpener{open, s}
	}
	return m, open, err
}

// lossOpener opens responses under an established context. A server that has
// started anew takes the kid context of the request for that of a request #1 and
// answers with a response #1 (RFC 8613, Appendix B.2): the session is given up
// then.
type lossOpener struct {
	ResponseOpener
	s *B2Session
}

// OpenResponse implements ResponseOpener.
func (o lossOpener) OpenResponse(m message.Message, at time.Time) (message.Message, Peer, error) {
	in, peer, err := o.ResponseOpener.OpenResponse(m, at)
	if err != nil && oscore.AnswersB2(m) {
		o.s.giveUp()
		return m, Peer{}, ErrAgain // which is refused by ProtectRequest
	}
	return in, peer, err
}
