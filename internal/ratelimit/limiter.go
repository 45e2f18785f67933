package ratelimit

import (
	"container/list"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"
)

// Rate is how often something may be done: Burst times at once, PerSecond on average. The zero Rate bounds nothing.
type Rate struct {
	PerSecond float64
	Burst     int
}

func (r Rate) unbounded() bool { return r == Rate{} }

// Validate returns what is wrong with r.
func (r Rate) Validate() error {
	if r.unbounded() || (r.PerSecond > 0 && !math.IsInf(r.PerSecond, 0) && r.Burst > 0) {
		return nil
	}
	return fmt.Errorf("ratelimit: %g a second with bursts of %d", r.PerSecond, r.Burst)
}

// Limits configures a [Limiter].
type Limits struct {
	PerKey Rate
	Total  Rate // for all keys together
	Keys   int  // how many keys are remembered; default 4096. Beyond it the one that asked longest ago is forgotten
}

// defaultKeys bounds the memory to some 100 bytes for each.
const defaultKeys = 4096

// Validate returns all faults of l, joined.
func (l Limits) Validate() error {
	var err error
	if l.Keys < 0 {
		err = errors.New("ratelimit: negative number of keys")
	}
	return errors.Join(l.PerKey.Validate(), l.Total.Validate(), err)
}

// Limiter bounds how often something is done for each key, and in all. It is safe for concurrent use.
type Limiter[K comparable] struct {
	limits Limits
	now    func() time.Time

	mu    sync.Mutex
	total bucket
	keys  map[K]*list.Element
	order *list.List // of *keyed[K], the one that asked last at the back
}

type keyed[K comparable] struct {
	key K
	bucket
}

// bucket holds what may still be done, as of a time.
type bucket struct {
	level float64
	at    time.Time
}

// New returns a Limiter that takes the time from now.
func New[K comparable](l Limits, now func() time.Time) *Limiter[K] {
	if l.Keys == 0 {
		l.Keys = defaultKeys
	}
	return &Limiter[K]{
		limits: l, now: now, total: bucket{float64(l.Total.Burst), now()}, keys: make(map[K]*list.Element), order: list.New(),
	}
}

// Allow says whether it may be done now for key and, if not, after how long it is worth to ask again. What is refused counts
// neither for the key nor for all.
func (l *Limiter[K]) Allow(key K) (retry time.Duration, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	own := l.bucket(key, now)
	l.total.refill(l.limits.Total, now)
	own.refill(l.limits.PerKey, now)
	if retry = max(l.total.wait(l.limits.Total), own.wait(l.limits.PerKey)); retry > 0 {
		return retry, false
	}
	l.total.level--
	own.level--
	return 0, true
}

func (l *Limiter[K]) bucket(key K, now time.Time) *bucket {
	if e := l.keys[key]; e != nil {
		l.order.MoveToBack(e)
		return &e.Value.(*keyed[K]).bucket
	}
	if len(l.keys) >= l.limits.Keys {
		oldest := l.order.Front()
		delete(l.keys, oldest.Value.(*keyed[K]).key)
		l.order.Remove(oldest)
	}
	k := &keyed[K]{key, bucket{float64(l.limits.PerKey.Burst), now}}
	l.keys[key] = l.order.PushBack(k)
	return &k.bucket
}

func (b *bucket) refill(r Rate, now time.Time) {
	if d := now.Sub(b.at); d > 0 {
		b.level = min(float64(r.Burst), b.level+d.Seconds()*r.PerSecond)
	}
	b.at = now
}

// wait returns how long it takes until one more is in the bucket.
func (b *bucket) wait(r Rate) time.Duration {
	if r.unbounded() || b.level >= 1 {
		return 0
	}
	return max(time.Duration((1-b.level)/r.PerSecond*float64(time.Second)), time.Millisecond)
}
