package endpoint

import (
	"context"
	"sync"
)

// gate limits the outstanding requests to one peer or one group to NSTART
// (RFC 7252, Section 4.7; draft-ietf-core-groupcomm-bis, Section 3.6). It has
// entries only for addresses with outstanding requests.
type gate struct {
	mu    sync.Mutex
	limit int
	peers map[remote]*gatePeer
}

type gatePeer struct {
	// order is held while a request is protected and sent, so that Partial IVs
	// leave in their order: a peer's replay window is not wide.
	order sync.Mutex

	used    int
	waiting []chan struct{} // in the order of arrival
}

func newGate(limit int) *gate {
	return &gate{limit: limit, peers: make(map[remote]*gatePeer)}
}

// enter waits for a place.
func (g *gate) enter(ctx, closing context.Context, to remote) (*gatePeer, error) {
	g.mu.Lock()
	p := g.peers[to]
	if p == nil {
		p = &gatePeer{}
		g.peers[to] = p
	}
	if p.used < g.limit {
		p.used++
		g.mu.Unlock()
		return p, nil
	}
	turn := make(chan struct{})
	p.waiting = append(p.waiting, turn)
	g.mu.Unlock()
	select {
	case <-turn:
		return p, nil
	case <-ctx.Done():
		g.giveUp(to, p, turn)
		return nil, ctx.Err()
	case <-closing.Done():
		g.giveUp(to, p, turn)
		return nil, ErrClosed
	}
}

// giveUp leaves the queue, or passes on a place that was given meanwhile.
func (g *gate) giveUp(to remote, p *gatePeer, turn chan struct{}) {
	g.mu.Lock()
	for i, w := range p.waiting {
		if w == turn {
			p.waiting = append(p.waiting[:i], p.waiting[i+1:]...)
			g.mu.Unlock()
			return
		}
	}
	g.mu.Unlock()
	g.leave(to)
}

// leave gives a place back, to whoever waits longest.
func (g *gate) leave(to remote) {
	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.peers[to]
	if len(p.waiting) > 0 {
		close(p.waiting[0])
		p.waiting = p.waiting[1:]
		return
	}
	if p.used--; p.used == 0 {
		delete(g.peers, to)
	}
}
