package grouposcore

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
)

// Group keeps the Security Contexts of one group over its rekeys:
//
//	previous   receive only, until it expires (Section 14.5.1)
//	current    protects everything that goes out
//	next       staged, receive only, until it is installed
//
// Each has a Gid, sequence numbers and windows of its own. A Group is the
// invariant identifier of the group that long exchanges need. It is safe for
// concurrent use: messages in processing are completed before a new context is
// installed, and none starts in between (Sections 2.6.3.2 and 7).
type Group struct {
	mu        sync.RWMutex
	previous  *Context
	until     time.Time // previous is not used at or after this
	current   *Context
	next      *Context
	suspended bool
	left      bool
}

// NewGroup returns a group with its first Security Context.
func NewGroup(current *Context) *Group {
	if current == nil {
		panic("grouposcore: group without context")
	}
	return &Group{current: current}
}

// Install makes next the current Security Context. The former one still
// receives for keepOld after now; with 0, the conservative choice of Section
// 14.5.1, it is dropped at once. Remove stale members before (Group.PurgeStale).
// Anything staged is dropped, and a suspension ends.
func (g *Group) Install(next *Context, keepOld time.Duration, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.drop()
	if next.common != g.current.common {
		secrets := g.current.agreed.Load()
		secrets.next()
		next.agreed.Store(secrets)
		g.previous, g.until = g.current, now.Add(keepOld)
		if keepOld <= 0 {
			g.drop()
		}
	}
	g.current, g.next, g.suspended = next, nil, false
}

// Stage holds a Security Context ready: messages under it are received
// already, nothing is sent under it. Install makes it current.
func (g *Group) Stage(next *Context) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.next = next
}

// Renew replaces the current Security Context by one of the same Gid, from
// [Context.Renew]: the endpoint has a new Sender ID (Section 2.6.3.1).
func (g *Group) Renew(c *Context) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c.common != g.current.common {
		return fmt.Errorf("%w: not a renewal of the current context", ErrNoContext)
	}
	c.peers.forgetPairwise()
	g.current = c
	return nil
}

// Suspend stops all processing with ErrSuspended once new group parameters are
// there, until Install (Section 2.6.3.2). It returns when messages in
// processing are completed.
func (g *Group) Suspend() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.suspended = true
}

// Leave ends the membership: every long exchange started here is over, and
// nothing is processed any more, with ErrNotMember. It comes before leaving the
// group and before re-joining it, which makes a new Group (Section 5.1).
func (g *Group) Leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.drop()
	g.current.peers.forgetPairwise()
	g.current.agreed.Load().clear()
	g.left, g.next = true, nil
}

// ready reports why nothing may be processed, if so; g.mu is held.
func (g *Group) ready() error {
	switch {
	case g.left:
		return ErrNotMember
	case g.suspended:
		return ErrSuspended
	}
	return nil
}

// Current is the Security Context that protects outgoing messages.
func (g *Group) Current() *Context {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.current
}

// Matches reports whether a kid context is the Gid of a Security Context that
// receives at now.
func (g *Group) Matches(kidContext []byte, now time.Time) bool {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return !g.left && g.find(kidContext, now) != nil
}

// find returns the context of a Gid; g.mu is held.
func (g *Group) find(gid []byte, now time.Time) *Context {
	for _, c := range g.receiving(now) {
		if c != nil && bytes.Equal(c.gid, gid) {
			return c
		}
	}
	return nil
}

// receiving lists the contexts that receive, latest first; g.mu is held.
func (g *Group) receiving(now time.Time) [3]*Context {
	out := [3]*Context{g.current, g.next, nil}
	if g.previous != nil && now.Before(g.until) {
		out[2] = g.previous
	}
	return out
}

// Expire drops the previous Security Context if its time is over, with all its
// keys, and reports whether there is none any more.
func (g *Group) Expire(now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.previous != nil && !now.Before(g.until) {
		g.drop()
	}
	return g.previous == nil
}

// drop gives up the previous Security Context and deletes its pairwise keys;
// g.mu is held.
func (g *Group) drop() {
	if g.previous != nil {
		g.previous.peers.forgetPairwise()
	}
	g.previous, g.until = nil, time.Time{}
}

// PurgeStale deletes the Recipient Contexts of stale Sender IDs everywhere,
// before new keying material is installed (Section 12.2). A staged context is
// left alone: in it nobody is stale.
func (g *Group) PurgeStale(ids [][]byte) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	g.current.PurgeStale(ids)
	if g.previous != nil {
		g.previous.PurgeStale(ids)
	}
}

// ProtectRequest is [Context.ProtectRequest] under the current context.
func (g *Group) ProtectRequest(m message.Message, o RequestOptions) (message.Message, *Exchange, error) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	if err := g.ready(); err != nil {
		return message.Message{}, nil, err
	}
	out, x, err := g.current.ProtectRequest(m, o)
	if x != nil {
		x.group = g
	}
	return out, x, err
}

// UnprotectRequest is [Context.UnprotectRequest] under the context that the
// kid context names, if it receives at now.
func (g *Group) UnprotectRequest(m message.Message, now time.Time) (message.Message, *Exchange, Sender, error) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	if err := g.ready(); err != nil {
		return message.Message{}, nil, Sender{}, err
	}
	_, opt, err := parseOption(m)
	if err != nil {
		return message.Message{}, nil, Sender{}, err
	}
	if opt.KIDContext == nil {
		return message.Message{}, nil, Sender{}, fmt.Errorf("%w: request without kid context", ErrMalformed)
	}
	c := g.find(opt.KIDContext, now)
	if c == nil {
		return message.Message{}, nil, Sender{}, ErrNoContext
	}
	in, x, s, err := c.unprotectRequest(m, now)
	if x != nil {
		x.group = g
	}
	return in, x, s, err
}

// ProtectResponse is [Context.ProtectResponse] under the current context, even
// if the request came under another: then with Partial IV and kid context
// (Sections 7.3 and 14.5).
func (g *Group) ProtectResponse(m message.Message, x *Exchange, o ResponseOptions) (message.Message, error) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	if err := g.ready(); err != nil {
		return message.Message{}, err
	}
	return g.current.ProtectResponse(m, x, o)
}

// UnprotectResponse is [Context.UnprotectResponse] under the context that the
// response's kid context names. Without one the latest context is tried first
// and an older one that still receives second (Section 14.5.1); a response
// without Partial IV can only be of the request's own.
func (g *Group) UnprotectResponse(m message.Message, x *Exchange, now time.Time) (message.Message, Sender, error) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	fail := func(err error) (message.Message, Sender, error) { return message.Message{}, Sender{}, err }
	if err := g.ready(); err != nil {
		return fail(err)
	}
	if x == nil {
		return fail(fmt.Errorf("%w: no request of ours", ErrExchange))
	}
	_, opt, err := parseOption(m)
	if err != nil {
		return fail(err)
	}
	if opt.KIDContext != nil {
		c := g.find(opt.KIDContext, now)
		if c == nil {
			return fail(ErrNoContext)
		}
		return c.UnprotectResponse(m, x)
	}
	last := error(ErrNoContext)
	for _, c := range g.receiving(now) {
		if c == nil || opt.PIV == nil && c.common != x.origin {
			continue
		}
		in, s, err := c.UnprotectResponse(m, x)
		if err == nil {
			return in, s, nil
		}
		// Under which context it was meant is not known: a replay says most.
		if errors.Is(last, ErrNoContext) || errors.Is(err, ErrReplay) {
			last = err
		}
	}
	return fail(last)
}

// ConfirmFresh is [Context.ConfirmFresh] in the Security Context of the request.
func (g *Group) ConfirmFresh(x *Exchange, now time.Time) error {
	g.mu.RLock()
	defer g.mu.RUnlock()
	for _, c := range g.receiving(now) {
		if c != nil && c.common == x.origin {
			return c.ConfirmFresh(x)
		}
	}
	return ErrNoContext
}

// UnprotectRequestAny is [Group.UnprotectRequest] for an endpoint in several
// groups, which may have one Gid by chance: each Security Context that the kid
// context names is tried until one verifies (Section 14.6). The error is
// ErrNoContext if none is named, else that of the first named. The exchange
// tells the group.
func UnprotectRequestAny(groups []*Group, m message.Message, now time.Time) (message.Message, *Exchange, Sender, error) {
	first := error(ErrNoContext)
	for _, g := range groups {
		in, x, s, err := g.UnprotectRequest(m, now)
		if x != nil { // verified
			return in, x, s, err
		}
		if errors.Is(first, ErrNoContext) {
			first = err
		}
	}
	return message.Message{}, nil, Sender{}, first
}
