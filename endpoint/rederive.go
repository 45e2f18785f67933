package endpoint

import (
	"fmt"
	"sync"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"

	"github.com/cohort-iot/cohort/oscore"
)

// b2Entry is a peer with which contexts are derived anew.
type b2Entry struct {
	server *oscore.B2Server
	opts   B2Options
}

// B2Options says what becomes of contexts that are derived by RFC 8613,
// Appendix B.2.
type B2Options struct {
	// Association becomes Peer.Association.
	Association any
	// Established, if not nil, is called with each context that a peer
	// established, before the request that did is served, and may refuse it.
	// The context takes the place of the peer's former one, which is given
	// too, or nil.
	Established func(ctx, former *oscore.Context) error
}

// AddB2 lets a peer with this Recipient ID derive contexts anew by RFC 8613,
// Appendix B.2: what no context of Contexts verifies is given to server.
func (c *Contexts) AddB2(recipientID []byte, server *oscore.B2Server, o B2Options) {
	c.mu.Lock()
	defer c.mu.Unlock()
	id := string(recipientID)
	c.hold(id, func() {
		if c.derive == nil {
			c.derive = make(map[string]*b2Entry)
		}
		c.derive[id] = &b2Entry{server, o}
	})
}

// RemoveB2 ends what AddB2 began; established contexts are removed too.
func (c *Contexts) RemoveB2(recipientID []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	id := string(recipientID)
	c.hold(id, func() {
		delete(c.derive, id)
		c.forget(c.pairwise[id]...)
		delete(c.pairwise, id)
	})
}

func (b *b2Entry) open(c *Contexts, m message.Message) (*Opened, error) {
	r, err := b.server.Open(m)
	if err != nil {
		return nil, refusal(err)
	}
	if r.Context == nil {
		return &Opened{Reply: r.Message}, nil
	}
	id := string(r.Context.RecipientID())
	c.mu.Lock()
	var former *oscore.Context
	if old := c.pairwise[id]; len(old) > 0 {
		former = old[0].ctx
	}
	c.mu.Unlock()
	if b.opts.Established != nil {
		if err := b.opts.Established(r.Context, former); err != nil {
			return nil, fmt.Errorf("established context: %w", err)
		}
	}
	c.mu.Lock()
	c.hold(id, func() {
		if c.pairwise == nil {
			c.pairwise = make(map[string][]*oscoreEntry)
		}
		c.forget(c.pairwise[id]...)
		c.pairwise[id] = []*oscoreEntry{{ctx: r.Context, assoc: b.opts.Association}}
	})
	c.mu.Unlock()
	return c.openedOSCORE(r.Context, r.Message, r.Exchange, b.opts.Association), nil
}

// WithB2 returns a Protector that derives a context with a server by RFC 8613,
// Appendix B.2, as part of the first request, and then uses it. established, if
// not nil, gets the context once the server has proven to have it. Such a
// context lives as long as the process.
//
// Until the context is established, requests must be made one after the other.
func WithB2(client *oscore.B2Client, established func(*oscore.Context)) Protector {
	return &b2Protector{client: client, established: established}
}

type b2Protector struct {
	client      *oscore.B2Client
	established func(*oscore.Context)

	mu     sync.Mutex
	second bool            // response #1 was there
	ctx    *oscore.Context // at the end
}

func (p *b2Protector) ProtectRequest(m message.Message) (message.Message, ResponseOpener, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx != nil {
		return WithOSCORE(p.ctx).ProtectRequest(m)
	}
	protect := p.client.Request1
	if p.second {
		protect = p.client.Request2
	}
	m, x, err := protect(m)
	return m, &b2Opener{p: p, x: x, second: p.second}, err
}

type b2Opener struct {
	p      *b2Protector
	x      *oscore.Exchange
	second bool
}

func (o *b2Opener) OpenResponse(m message.Message, _ time.Time) (message.Message, Peer, error) {
	if !o.second {
		if _, err := o.p.client.Response1(m, o.x); err != nil {
			return m, Peer{}, err
		}
		o.p.mu.Lock()
		o.p.second = true
		o.p.mu.Unlock()
		return m, Peer{}, ErrAgain
	}
	in, ctx, err := o.p.client.Response2(m, o.x)
	if err != nil {
		if oscore.AnswersB2(m) {
			// The server has forgotten the run and begins another one.
			if _, again := o.p.client.Response1(m, o.x); again == nil {
				return m, Peer{}, ErrAgain
			}
		}
		return m, Peer{}, err
	}
	o.p.mu.Lock()
	first := o.p.ctx == nil
	o.p.ctx = ctx
	o.p.mu.Unlock()
	if first && o.p.established != nil {
		o.p.established(ctx)
	}
	return in, oscorePeer(ctx, nil), nil
}
