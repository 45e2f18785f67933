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
//	if !budget.Allow(gid, kid, from, now) { drop silently, count }
//	_, _, _, err := group.UnprotectRequest(m, now)
//	budget.Report(gid, kid, from, now, err)
//
// It is safe for concurrent use.
type FailureBudget struct {
	mu      sync.Mutex
	rate    float64
	buckets map[budgetKey]*bucket
	trusted map[netip.Prefix]time.Time
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
		rate: float64(perSecond), buckets: make(map[budgetKey]*bucket), trusted: make(map[netip.Prefix]time.Time),
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
	if now.Before(b.trusted[src]) {
		return true
	}
	for _, k := range []budgetKey{{gid: string(gid), kid: string(kid)}, {source: src}} {
		if e := b.buckets[k]; e != nil && b.refill(e, now) < 1 {
			return false
		}
	}
	return true
}

// Report tells how a message ended: nil or ErrWindowInvalid that it verified,
// ErrDecryption that it did not. Other errors are cheap and do not count.
func (b *FailureBudget) Report(gid, kid []byte, from netip.Addr, now time.Time, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	src := Source(from)
	if verified(err) {
		b.forget(now)
		b.trusted[src] = now.Add(trustedFor)
		return
	}
	if Cause(err) == "" || now.Before(b.trusted[src]) {
		return
	}
	for _, k := range []budgetKey{{gid: string(gid), kid: string(kid)}, {source: src}} {
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

// verified reports whether countersignature and tag were good.
func verified(err error) bool { return err == nil || errors.Is(err, ErrWindowInvalid) }

// refill adds what the time since the last failure is worth.
func (b *FailureBudget) refill(e *bucket, now time.Time) float64 {
	if d := now.Sub(e.at).Seconds(); d > 0 {
		e.left = min(b.rate, e.left+d*b.rate)
		e.at = now
	}
	return e.left
}

// forget keeps the tables bounded: when one is full, whatever says nothing any
// more goes, and then any until it is half empty, so that this is rare.
func (b *FailureBudget) forget(now time.Time) {
	shrink(b.buckets, func(e *bucket) bool { return b.refill(e, now) >= b.rate })
	shrink(b.trusted, func(until time.Time) bool { return !now.Before(until) })
}

func shrink[K comparable, V any](m map[K]V, idle func(V) bool) {
	if len(m) < maxBuckets {
		return
	}
	for k, v := range m {
		if idle(v) {
			delete(m, k)
		}
	}
	for k := range m {
		if len(m) <= maxBuckets/2 {
			break
		}
		delete(m, k)
	}
}
