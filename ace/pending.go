package ace

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"

	"github.com/cohort-iot/cohort/internal/clock"
	"github.com/cohort-iot/cohort/oscore"
)

var (
	// ErrNotPending is wrapped when a pending association is confirmed too late.
	ErrNotPending = errors.New("association no longer pending")
	// ErrTooManyPending is wrapped when no further association can be pending.
	ErrTooManyPending = errors.New("too many pending associations")
)

// Pending is an association whose Client has not yet proven that it has the key.
type Pending struct {
	Response []byte        // payload of the answer 2.01, of Content-Format 19
	Params   oscore.Params // the Resource Server's side of the Security Context
	Token    Token

	from  netip.Prefix // who posted the token
	timer clock.Timer

	mu         sync.Mutex   // held while the store works, so that a second request waits for the first one's result
	done       *Association // once confirmed
	superseded []uint64
}

// pendingTable holds the pending associations, bounded in all and for each token, each for a limited time.
type pendingTable struct {
	cfg     RSConfig
	mu      sync.Mutex
	closed  bool
	n       int
	byToken map[TokenHash][]*Pending // oldest first
}

func (t *pendingTable) init(cfg RSConfig) {
	t.cfg, t.byToken = cfg, make(map[TokenHash][]*Pending)
}

func (t *pendingTable) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.n
}

// full says whether there is room for no association of another token.
func (t *pendingTable) full() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.closed || t.n >= t.cfg.MaxPending && len(t.byToken) == t.n
}

// sourcesPerToken is how many times MaxPendingPerToken associations of one token may be pending from all sources together. A
// token travels in clear, so a stranger can post it again from elsewhere, and must not thereby end the Client's association in
// the moment before its first request.
const sourcesPerToken = 16

// crowded returns the association that has to go before p can come, or nil. If its source has too many for the token, that is the
// oldest of them. If the token has too many in all, it is the oldest from the source that has most: a Client has one or two. If
// there are too many of all tokens, it is such a one of the token that has most, p's own if that has as many: who can post some
// tokens leaves room for others. t.mu is held.
func (t *pendingTable) crowded(p *Pending) *Pending {
	same := t.byToken[p.Token.Hash]
	own := func(o *Pending) bool { return o.from == p.from }
	n := 0
	for _, o := range same {
		if own(o) {
			n++
		}
	}
	switch {
	case n >= t.cfg.MaxPendingPerToken:
		return same[slices.IndexFunc(same, own)]
	case len(same) >= sourcesPerToken*t.cfg.MaxPendingPerToken:
		return oldestOfMost(same)
	case t.n < t.cfg.MaxPending:
		return nil
	}
	var most []*Pending
	for _, list := range t.byToken {
		if len(list) > len(most) {
			most = list
		}
	}
	if len(most) <= len(same)+1 {
		most = same
	}
	if len(most) == 0 {
		return nil
	}
	return oldestOfMost(most)
}

// oldestOfMost returns the oldest association from the source that has most of a list.
func oldestOfMost(list []*Pending) *Pending {
	n, most := make(map[netip.Prefix]int, len(list)), 0
	for _, p := range list {
		n[p.from]++
		most = max(most, n[p.from])
	}
	return list[slices.IndexFunc(list, func(p *Pending) bool { return n[p.from] == most })]
}

// add takes p in and starts its time. If there is no room for it another goes, or p is refused.
func (t *pendingTable) add(p *Pending) error {
	t.mu.Lock()
	old := t.crowded(p)
	if old != nil {
		t.take(old)
	}
	if t.closed || t.n >= t.cfg.MaxPending {
		t.mu.Unlock()
		t.dropped(old)
		return fmt.Errorf("%w: %d", ErrTooManyPending, t.cfg.MaxPending)
	}
	t.byToken[p.Token.Hash] = append(t.byToken[p.Token.Hash], p)
	t.n++
	p.timer = t.cfg.Clock.AfterFunc(t.cfg.PendingLife, func() { t.expire(p) })
	t.mu.Unlock()
	t.dropped(old)
	return nil
}

func (t *pendingTable) dropped(list ...*Pending) {
	for _, p := range list {
		if p != nil {
			p.timer.Stop()
			t.cfg.Dropped(p)
		}
	}
}

// take removes p, with t.mu held, and says whether it was there.
func (t *pendingTable) take(p *Pending) bool {
	same := t.byToken[p.Token.Hash]
	i := slices.Index(same, p)
	if i < 0 {
		return false
	}
	if len(same) == 1 {
		delete(t.byToken, p.Token.Hash)
	} else {
		t.byToken[p.Token.Hash] = slices.Delete(same, i, i+1)
	}
	t.n--
	return true
}

// expire ends p unless it is being confirmed.
func (t *pendingTable) expire(p *Pending) {
	t.mu.Lock()
	there := t.take(p)
	t.mu.Unlock()
	if there {
		t.cfg.Dropped(p)
	}
}

// confirm stores p through store, once.
func (t *pendingTable) confirm(ctx context.Context, p *Pending, store TokenStore, valid func(*Token) bool) (*Association, []uint64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done != nil {
		return p.done, p.superseded, nil
	}
	if !valid(&p.Token) {
		t.expire(p)
		return nil, nil, fmt.Errorf("%w: token no longer valid", ErrNotPending)
	}
	t.mu.Lock()
	there := t.take(p)
	t.mu.Unlock()
	if !there {
		return nil, nil, ErrNotPending
	}
	p.timer.Stop()
	a := &Association{Token: p.Token, Params: p.Params}
	superseded, err := store.Confirm(ctx, a)
	if err != nil {
		if t.add(p) != nil {
			t.cfg.Dropped(p)
		}
		return nil, nil, fmt.Errorf("store association: %w", err)
	}
	p.done, p.superseded = a, superseded
	t.forget(p.Token.Hash)
	return a, superseded, nil
}

// forget ends whatever else is pending for a token one association of which was just confirmed: the Client has had its answer.
func (t *pendingTable) forget(h TokenHash) {
	t.mu.Lock()
	same := t.byToken[h]
	delete(t.byToken, h)
	t.n -= len(same)
	t.mu.Unlock()
	t.dropped(same...)
}

func (t *pendingTable) close() {
	t.mu.Lock()
	t.closed = true
	var all []*Pending
	for _, same := range t.byToken {
		all = append(all, same...)
	}
	clear(t.byToken)
	t.n = 0
	t.mu.Unlock()
	t.dropped(all...)
}
