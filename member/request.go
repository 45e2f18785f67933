package member

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/endpoint"
)

// Request is what the device asks of other members.
type Request struct {
	Code    codes.Code
	Path    string // segments separated by slashes
	Query   []string
	Options message.Options // further ones, such as Content-Format
	Payload []byte
}

// Answer is one verified answer.
type Answer struct {
	Sender  Peer // whose key the answer verified with
	Mode    endpoint.Mode
	Code    codes.Code
	Options message.Options
	Payload []byte
	Version uint64 // of the keying material when it arrived
	Bytes   int    // size of the datagram
	After   time.Duration
}

// Request sends a request, signed for the whole group, to the group's
// multicast address and yields the answers as they arrive and verify, until
// ctx ends; without a deadline, until the group's leisure has passed. The end
// of a deadline is no error. What does not verify is not yielded.
//
// A group whose keys are outdated gives one ErrStaleKey.
func (g *Group) Request(ctx context.Context, r Request) iter.Seq2[*Answer, error] {
	return func(yield func(*Answer, error) bool) {
		l, err := g.asking()
		if err != nil {
			yield(nil, err)
			return
		}
		addr, err := netip.ParseAddrPort(g.record().Address)
		if err != nil {
			yield(nil, fmt.Errorf("%w: group %s was joined without a multicast address", ErrConfig, g.name))
			return
		}
		req := r.endpoint(addr, endpoint.WithGroup(l.group))
		req.Interface, req.HopLimit = g.d.cfg.Interface, g.d.cfg.HopLimit
		started := g.d.now()
		answers := 0
		defer func() {
			if answers == 0 {
				g.hint() // perhaps all the others have newer keys
			}
			g.reserve(l)
		}()
		collect := func(resp *endpoint.Response, err error) (bool, error) {
			if err != nil {
				return false, err
			}
			a, err := g.answer(resp, started)
			if err != nil {
				g.d.cfg.Log.Warn("answer is not taken", "group", g.name, "err", err)
				return true, nil
			}
			answers++
			return yield(a, nil), nil
		}
		for try := 0; ; try++ {
			var last error
			for resp, err := range g.d.ep.DoMulticast(ctx, req) {
				var more bool
				if more, last = collect(resp, err); !more {
					break
				}
			}
			if try == 0 && g.spent(ctx, last) {
				continue
			}
			if last != nil {
				yield(nil, last)
			}
			return
		}
	}
}

// Fanout sends the same request by unicast to each of the addresses, one after
// the other, signed for the whole group as Request does. It is for networks
// without multicast.
func (g *Group) Fanout(ctx context.Context, r Request, to []netip.AddrPort) iter.Seq2[*Answer, error] {
	return func(yield func(*Answer, error) bool) {
		l, err := g.asking()
		if err != nil {
			yield(nil, err)
			return
		}
		for _, addr := range to {
			a, err := g.one(ctx, r.endpoint(addr, endpoint.WithGroup(l.group)))
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				err = fmt.Errorf("%s: %w", addr, err)
			}
			if !yield(a, err) {
				return
			}
		}
	}
}

// Unicast sends a request to one member, in pairwise mode: only that member
// can read it and only its answer is accepted. The peer is named by its Sender
// ID; its address is where it was heard last unless to.Addr says otherwise.
func (g *Group) Unicast(ctx context.Context, to Peer, r Request) (*Answer, error) {
	l, err := g.asking()
	if err != nil {
		return nil, err
	}
	addr, err := g.whereIs(to)
	if err != nil {
		return nil, err
	}
	return g.one(ctx, r.endpoint(addr, endpoint.WithPairwise(l.group, to.SenderID)))
}

// one makes an exchange with one member.
func (g *Group) one(ctx context.Context, req endpoint.Request) (*Answer, error) {
	started := g.d.now()
	l := g.using()
	resp, err := g.d.ep.Do(ctx, req)
	if g.spent(ctx, err) {
		resp, err = g.d.ep.Do(ctx, req)
	}
	if l != nil {
		g.reserve(l)
	}
	if err != nil {
		g.hintAfter(err)
		return nil, err
	}
	return g.answer(resp, started)
}

// hintAfter takes an exchange that failed as a hint that the keys are outdated,
// if it can be one.
func (g *Group) hintAfter(err error) {
	var clear *endpoint.UnprotectedError
	if errors.Is(err, endpoint.ErrNoResponse) || errors.Is(err, endpoint.ErrTimeout) ||
		errors.Is(err, context.DeadlineExceeded) || errors.As(err, &clear) {
		g.hint()
	}
}

// asking returns what protects a request, or why none may be sent.
func (g *Group) asking() (*live, error) {
	if g.d.ctx.Err() != nil {
		return nil, ErrClosed
	}
	if r := g.roles(); !r.Has(ace.RoleRequester) {
		return nil, fmt.Errorf("%w: a request to group %s by a %v", ErrRole, g.name, r)
	}
	return g.current()
}

// reserve has the next block of sequence numbers reserved when it is time.
func (g *Group) reserve(l *live) {
	if l.seq != nil && (l.seq.NeedsReserve() || l.tired()) {
		g.wake()
	}
}

// FindPeer returns the member whose credential has a subject; the one learned of
// last if several have it.
func (g *Group) FindPeer(name string) (Peer, error) {
	p, ok := g.dir.find(name)
	if !ok {
		return Peer{}, fmt.Errorf("%w: %s in group %s", ErrUnknownPeer, name, g.name)
	}
	return p, nil
}

func (r Request) endpoint(to netip.AddrPort, p endpoint.Protector) endpoint.Request {
	return endpoint.Request{To: to, Code: r.Code, Path: r.Path, Query: r.Query, Options: r.Options, Payload: r.Payload, Security: p}
}

// answer takes a verified response, unless its sender is no responder
// (ace-key-groupcomm-oscore, Section 6.4).
func (g *Group) answer(r *endpoint.Response, started time.Time) (*Answer, error) {
	a := &Answer{
		Sender: Peer{SenderID: r.Peer.SenderID, Addr: r.Peer.Addr}, Mode: r.Peer.Mode,
		Code: r.Code, Options: r.Options, Payload: r.Payload, Bytes: r.Bytes, After: r.Received.Sub(started),
		Version: g.record().Epoch.Version,
	}
	g.dir.heard(r.Peer.SenderID, r.Peer.Addr)
	if p, ok := g.dir.get(r.Peer.SenderID); ok {
		if p.Roles != 0 && !p.Roles.Has(ace.RoleResponder) {
			return nil, fmt.Errorf("%w: an answer of %x, who is %v", ErrRole, p.SenderID, p.Roles)
		}
		a.Sender = p
	}
	return a, nil
}
