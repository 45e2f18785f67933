package coap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"

	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/trust"
	"github.com/cohort-iot/cohort/oscore"
)

// asContext is a context with an Authorization Server. It is given up before
// another one is derived, and nothing is sent under it from then on: to the server
// that would look like a second holder of the secret.
type asContext struct {
	endpoint.Protector
	established atomic.Bool
	over        context.Context
	giveUp      context.CancelFunc
}

var errGivenUp = errors.New("the context with the authorization server is given up for another one")

// ProtectRequest implements endpoint.Protector.
func (c *asContext) ProtectRequest(m message.Message) (message.Message, endpoint.ResponseOpener, error) {
	if c.over.Err() != nil {
		return m, nil, errGivenUp
	}
	established := c.established.Load()
	m, open, err := c.Protector.ProtectRequest(m)
	if err == nil && established {
		open = lossOpener{open, c}
	}
	return m, open, err
}

// lossOpener opens responses under an established context. A server that has
// started anew takes the kid context of the request for that of a request #1 and
// answers with a response #1 (RFC 8613, Appendix B.2): the context is given up
// then. As with 4.01 in clear, anybody on the path can bring this about.
type lossOpener struct {
	endpoint.ResponseOpener
	c *asContext
}

// OpenResponse implements endpoint.ResponseOpener.
func (o lossOpener) OpenResponse(m message.Message, at time.Time) (message.Message, endpoint.Peer, error) {
	in, peer, err := o.ResponseOpener.OpenResponse(m, at)
	if err != nil && oscore.AnswersB2(m) {
		o.c.giveUp()
		return m, endpoint.Peer{}, endpoint.ErrAgain // which is refused by ProtectRequest
	}
	return in, peer, err
}

// derive takes up a new context.
func (as *remoteAS) derive(a *trust.Association, random io.Reader) error {
	as.drop()
	b2, err := oscore.NewB2Client(a.AS.Params(), random)
	if err != nil {
		return fmt.Errorf("%w: %w", errNoAS, err)
	}
	c := &asContext{}
	c.Protector = endpoint.WithB2(b2, func(*oscore.Context) { c.established.Store(true) })
	c.over, c.giveUp = context.WithCancel(context.Background())
	as.context, as.secret = c, a.AS.Secret.Bytes()
	return nil
}

func (as *remoteAS) drop() {
	if as.context != nil {
		as.context.giveUp()
		as.context = nil
	}
}
