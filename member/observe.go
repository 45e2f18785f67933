package member

import (
	"context"
	"fmt"
	"iter"
	"net/netip"

	"github.com/cohort-iot/cohort/endpoint"
)

// Observe registers for a resource of the whole group, or of one member if to is
// not nil, and yields its state now and whenever it changes, until ctx ends
// (RFC 7641; draft-ietf-core-groupcomm-bis, Section 3.7). The request has to be a
// GET or a FETCH. What it yields is the newest state of each member: older ones
// are left out when the caller is slow.
//
// Registrations outlive rekeyings that the device follows. Errors that are yielded
// before the last one say that there is no news; see [endpoint.Endpoint.Observe].
// The end of ctx is no error.
func (g *Group) Observe(ctx context.Context, r Request, to *Peer) iter.Seq2[*Answer, error] {
	return func(yield func(*Answer, error) bool) {
		l, err := g.asking()
		if err != nil {
			yield(nil, err)
			return
		}
		req, err := g.observation(l, r, to)
		if err != nil {
			yield(nil, err)
			return
		}
		started := g.d.now()
		for resp, err := range g.d.ep.Observe(ctx, req) {
			g.reserve(l) // registrations take numbers too
			var a *Answer
			if err == nil {
				if a, err = g.answer(resp, started); err != nil {
					g.d.cfg.Log.Warn("notification is not taken", "group", g.name, "err", err)
					continue
				}
			} else if ctx.Err() != nil {
				return
			} else {
				g.hintAfter(err)
			}
			if !yield(a, err) {
				return
			}
		}
	}
}

// observation makes the request of a registration.
func (g *Group) observation(l *live, r Request, to *Peer) (endpoint.Request, error) {
	if to != nil {
		addr, err := g.whereIs(*to)
		return r.endpoint(addr, endpoint.WithPairwise(l.group, to.SenderID)), err
	}
	addr, err := netip.ParseAddrPort(g.record().Address)
	if err != nil {
		return endpoint.Request{}, fmt.Errorf("%w: group %s was joined without a multicast address", ErrConfig, g.name)
	}
	req := r.endpoint(addr, endpoint.WithGroup(l.group))
	req.Interface, req.HopLimit = g.d.cfg.Interface, g.d.cfg.HopLimit
	return req, nil
}

// whereIs returns the address that a peer has or was heard from last.
func (g *Group) whereIs(to Peer) (netip.AddrPort, error) {
	if to.Addr.IsValid() {
		return to.Addr, nil
	}
	known, ok := g.dir.get(to.SenderID)
	if !ok || !known.Addr.IsValid() {
		return netip.AddrPort{}, fmt.Errorf("%w: no address of sender id %x of group %s is known", ErrUnknownPeer, to.SenderID, g.name)
	}
	return known.Addr, nil
}

// Notify says that the state of one of the device's resources has changed: who
// observes it is told (endpoint.Observable). It returns at once, with the number
// of observers.
func (d *Device) Notify(path string) int { return d.ep.Notify(path) }
