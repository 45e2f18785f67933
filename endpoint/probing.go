package endpoint

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"

	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// ErrProbing is returned for a non-confirmable request to a peer or group that
// answered none of the last ones, when it would come too soon after them
// (PROBING_RATE; RFC 7252, Section 4.7).
var ErrProbing = errors.New("nobody answers there; too soon to try again")

// prober bounds what is sent to who does not answer: PROBING_RATE bytes per
// second on average over the lifetime of an exchange, so that a few requests in
// a row are possible. One response ends the count. There are entries only for
// addresses this endpoint sent to.
type prober struct {
	rate  float64 // bytes per second
	burst float64 // bytes

	mu     sync.Mutex
	silent map[netip.AddrPort]*silence
}

type silence struct {
	spent float64 // bytes, less what time gave back
	at    time.Time
}

func newProber(rate int, over time.Duration) *prober {
	return &prober{rate: float64(rate), burst: float64(rate) * over.Seconds(), silent: make(map[netip.AddrPort]*silence)}
}

// allow accounts for n bytes to an address, or says how long to wait. The first
// datagram is always allowed.
func (p *prober) allow(to netip.AddrPort, n int, now time.Time) (wait time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.silent[to]
	if s == nil {
		p.makeRoom(now)
		p.silent[to] = &silence{spent: float64(n), at: now}
		return 0
	}
	s.spent = max(0, s.spent-p.rate*now.Sub(s.at).Seconds())
	s.at = now
	if over := s.spent + float64(n) - p.burst; over > 0 && s.spent > 0 {
		return time.Duration(min(over, s.spent) / p.rate * float64(time.Second))
	}
	s.spent += float64(n)
	return 0
}

// makeRoom forgets who may be sent to again anyway, and if need be anybody.
func (p *prober) makeRoom(now time.Time) {
	if len(p.silent) < maxSilent {
		return
	}
	for to, s := range p.silent {
		if s.spent <= p.rate*now.Sub(s.at).Seconds() {
			delete(p.silent, to)
		}
	}
	for to := range p.silent {
		if len(p.silent) < maxSilent {
			return
		}
		delete(p.silent, to)
	}
}

// answered notes a response.
func (p *prober) answered(to netip.AddrPort) {
	p.mu.Lock()
	delete(p.silent, to)
	p.mu.Unlock()
}

// probe checks a request that will not be acknowledged. One whose sender wants
// no success response tells nothing by silence and is not counted.
func (e *Endpoint) probe(r *Request, m message.Message) error {
	if r.confirmable() || r.Via == ViaTCP || suppresses(m.Options, 2) {
		return nil
	}
	size := len(m.Payload) + protectionOverhead
	for _, o := range m.Options {
		size += len(o.Value) + 1
	}
	if wait := e.prober.allow(r.To, size, e.cfg.Clock.Now()); wait > 0 {
		return fmt.Errorf("%s: %w: wait %v", r.To, ErrProbing, wait.Round(time.Second))
	}
	return nil
}

// suppresses reports a No-Response option that has all these bits: 2 for 2.xx, 8
// for 4.xx, 16 for 5.xx (RFC 7967, Section 2.1).
func suppresses(opts message.Options, bits uint32) bool {
	v, ok := coapmsg.Get(opts, coapmsg.NoResponse)
	mask, err := coapmsg.DecodeUint(v)
	return ok && err == nil && mask&bits == bits
}
