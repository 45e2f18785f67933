package grouposcore

import (
	"errors"
	"net/netip"
	"sync"
	"time"
)

// Limits of a FailureBudget.
const (
	// DefaultFailuresPerSecond is about 2 % of what one core can verify.
	DefaultFailuresPerSecond = 200
	// trustedFor is how long a source is not limited after it verified.
	trustedFor = time.Minute
	// maxBuckets bounds the memory of a FailureBudget: about 100 bytes each.
	maxBuckets = 8192
)

// FailureBudget limits how many failed verifications per second are spent on
// one sender, a (Gid, kid), and on one source, a prefix of addresses:
// verifying a countersignature is dear, and anybody can send rubbish under
// anybody's kid. A source that had a message verified within the last minute is
// never limited, so nobody can silence a member by abusing its kid, except from
// the member's own prefix.
//
// A message that verified under an invalid Replay Window may be an old one that
// somebody repeats from anywhere. It frees its source from the limit of the kid,
// so that the member gets its challenge answered, but not from its own.
//
//	if !budget.Allow(gid, kid, from, now) { drop silently, count }
//	_, _, _, err := group.UnprotectRequest(m, now)
//	budget.Report(gid, kid, from, now, err)
//	…and after ConfirmFresh once more, with nil…
//
// It is safe for concurrent use.
type FailureBudget struct {
	mu      sync.Mutex
	rate    float64
	buckets map[budgetKey]*bucket
	trusted map[netip.Prefix]trust
	swept   time.Time // when trusted was cleaned last
	open    time.Time // until then nobody is limited: more sources verified than are remembered
}

// trust is what a source earned by messages that verified.
type trust struct {
	until      time.Time // for messages known to be fresh or new
	maybeUntil time.Time // for messages that may be old ones
}

// budgetKey is a (Gid, kid), or a source prefix.
type budgetKey struct {
	gid, kid string
	source   netip.Prefix
}

// bucket holds the failures still allowed.
type bucket struct {
	left float64
	at   time.Time
}

// NewFailureBudget allows perSecond failures a second per (Gid, kid) and per
// source, and as many at once; 0 means DefaultFailuresPerSecond.
func NewFailureBudget(perSecond int) *FailureBudget {
	if perSecond <= 0 {
		perSecond = DefaultFailuresPerSecond
	}
	return &FailureBudget{
		rate: float64(perSecond), buckets: make(map[budgetKey]*bucket), trusted: make(map[netip.Prefix]trust),
	}
}

// Source is the prefix that stands for an address: it alone for IPv4, its /64
// for IPv6, where one host may have them all.
func Source(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

// Allow reports whether a message from a source that claims to be of (gid,
// kid) may be verified now.
func (b *FailureBudget) Allow(gid, kid []byte, from netip.Addr, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	src := Source(from)
	if now.Before(b.open) {
		return true
	}
	for _, k := range b.limits(gid, kid, src, now) {
		if e := b.buckets[k]; e != nil && b.refill(e, now) < 1 {
			return false
		}
	}
	return true
}

// limits lists the buckets that apply to a message.
func (b *FailureBudget) limits(gid, kid []byte, src netip.Prefix, now time.Time) []budgetKey {
	t := b.trusted[src]
	switch {
	case now.Before(t.until):
		return nil
	case now.Before(t.maybeUntil):
		return []budgetKey{{source: src}}
	}
	return []budgetKey{{gid: string(gid), kid: string(kid)}, {source: src}}
}

// Report tells how a message ended: nil, ErrNotFresh or ErrWindowInvalid that it
// verified, ErrDecryption that it did not. Other errors are cheap and do not
// count.
func (b *FailureBudget) Report(gid, kid []byte, from netip.Addr, now time.Time, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	src := Source(from)
	switch {
	case err == nil || errors.Is(err, ErrNotFresh):
		b.trust(src, now, func(t *trust) { t.until = now.Add(trustedFor) })
		return
	case errors.Is(err, ErrWindowInvalid):
		b.trust(src, now, func(t *trust) { t.maybeUntil = now.Add(trustedFor) })
		return
	case Cause(err) == "":
		return
	}
	for _, k := range b.limits(gid, kid, src, now) {
		e := b.buckets[k]
		if e == nil {
			b.forget(now)
			e = &bucket{left: b.rate, at: now}
			b.buckets[k] = e
		}
		b.refill(e, now)
		e.left--
	}
}

// trust notes that a source had a message verified. If so many did within the
// last minute that the table is full, nobody is limited for another: the limit
// may fail, but never at the cost of a source that verified.
func (b *FailureBudget) trust(src netip.Prefix, now time.Time, earn func(*trust)) {
	t, known := b.trusted[src]
	if !known && len(b.trusted) >= maxBuckets {
		b.sweep(now)
		if len(b.trusted) >= maxBuckets {
			b.open = now.Add(trustedFor)
			return
		}
	}
	earn(&t)
	b.trusted[src] = t
}

// sweep forgets the sources whose trust is over, once a second at most.
func (b *FailureBudget) sweep(now time.Time) {
	if now.Sub(b.swept) < time.Second {
		return
	}
	b.swept = now
	for k, t := range b.trusted {
		if !now.Before(t.until) && !now.Before(t.maybeUntil) {
			delete(b.trusted, k)
		}
	}
}

// refill adds what the time since the last failure is worth.
func (b *FailureBudget) refill(e *bucket, now time.Time) float64 {
	if d := now.Sub(e.at).Seconds(); d > 0 {
		e.left = min(b.rate, e.left+d*b.rate)
		e.at = now
	}
	return e.left
}

// forget keeps the buckets bounded: when there are too many, the full ones go,
// which say nothing, and then any until half are left, so that this is rare.
func (b *FailureBudget) forget(now time.Time) {
	if len(b.buckets) < maxBuckets {
		return
	}
	for k, e := range b.buckets {
		if b.refill(e, now) >= b.rate {
			delete(b.buckets, k)
		}
	}
	for k := range b.buckets {
		if len(b.buckets) <= maxBuckets/2 {
			break
		}
		delete(b.buckets, k)
	}
}
