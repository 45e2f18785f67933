package member

import (
	"context"
	"fmt"
	"iter"
	"net/netip"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

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
		gc, err := g.current()
		if err != nil {
			yield(nil, err)
			return
		}
		g.mu.Lock()
		addr, err := netip.ParseAddrPort(g.rec.Address)
		g.mu.Unlock()
		if err != nil {
			yield(nil, fmt.Errorf("%w: group %s has no multicast address here", ErrConfig, g.name))
			return
		}
		req := r.endpoint(addr, endpoint.WithGroup(gc))
		req.Interface, req.HopLimit = g.d.cfg.Interface, g.d.cfg.HopLimit
		g.send(ctx, g.d.ep.DoMulticast(ctx, req), yield)
	}
}

// Fanout sends the same request by unicast to each peer whose address is
// known, signed for the whole group as Request does. It is for networks
// without multicast.
func (g *Group) Fanout(ctx context.Context, r Request, to []netip.AddrPort) iter.Seq2[*Answer, error] {
	return func(yield func(*Answer, error) bool) {
		gc, err := g.current()
		if err != nil {
			yield(nil, err)
			return
		}
		for _, addr := range to {
			started := g.d.now()
			resp, err := g.d.ep.Do(ctx, r.endpoint(addr, endpoint.WithGroup(gc)))
			g.wake()
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				if !yield(nil, fmt.Errorf("%s: %w", addr, err)) {
					return
				}
				continue
			}
			if !yield(g.answer(resp, started), nil) {
				return
			}
		}
	}
}

func (g *Group) send(ctx context.Context, responses iter.Seq2[*endpoint.Response, error], yield func(*Answer, error) bool) {
	started := g.d.now()
	defer g.wake()
	for resp, err := range responses {
		if err != nil {
			yield(nil, err)
			return
		}
		if !yield(g.answer(resp, started), nil) {
			return
		}
	}
}

// Unicast sends a request to one member, in pairwise mode: only that member
// can read it and only its answer is accepted. The peer is named by its Sender
// ID; its address is where it was heard last unless to.Addr says otherwise.
func (g *Group) Unicast(ctx context.Context, to Peer, r Request) (*Answer, error) {
	gc, err := g.current()
	if err != nil {
		return nil, err
	}
	if !to.Addr.IsValid() {
		known, ok := g.dir.find(func(p *peer) bool { return string(p.id) == string(to.SenderID) })
		if !ok || !known.Addr.IsValid() {
			return nil, fmt.Errorf("%w: sender id %x of group %s", ErrUnknownPeer, to.SenderID, g.name)
		}
		to.Addr = known.Addr
	}
	started := g.d.now()
	resp, err := g.d.ep.Do(ctx, r.endpoint(to.Addr, endpoint.WithPairwise(gc, to.SenderID)))
	g.wake()
	if err != nil {
		return nil, err
	}
	return g.answer(resp, started), nil
}

// FindPeer returns the member whose credential has a subject; the first one if
// several have it.
func (g *Group) FindPeer(name string) (Peer, error) {
	p, ok := g.dir.find(func(p *peer) bool { return p.cred.Subject() == name })
	if !ok {
		return Peer{}, fmt.Errorf("%w: %s in group %s", ErrUnknownPeer, name, g.name)
	}
	return p, nil
}

func (r Request) endpoint(to netip.AddrPort, p endpoint.Protector) endpoint.Request {
	return endpoint.Request{To: to, Code: r.Code, Path: r.Path, Query: r.Query, Options: r.Options, Payload: r.Payload, Security: p}
}

func (g *Group) answer(r *endpoint.Response, started time.Time) *Answer {
	g.dir.heard(r.Peer.SenderID, r.Peer.Addr)
	a := &Answer{
		Sender: Peer{SenderID: r.Peer.SenderID, Addr: r.Peer.Addr}, Mode: r.Peer.Mode,
		Code: r.Code, Options: r.Options, Payload: r.Payload, Bytes: r.Bytes, After: r.Received.Sub(started),
	}
	if p, ok := g.dir.find(func(p *peer) bool { return string(p.id) == string(r.Peer.SenderID) }); ok {
		a.Sender = p
	}
	g.mu.Lock()
	a.Version = g.rec.Epoch.Version
	g.mu.Unlock()
	return a
}
