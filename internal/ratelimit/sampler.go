package ratelimit

import (
	"sync"
	"time"
)

// Sampler says which of many alike events are to be told: the first of each kind in an interval. It is safe for concurrent use.
type Sampler[K comparable] struct {
	every time.Duration
	now   func() time.Time

	mu    sync.Mutex
	kinds map[K]*sample
}

type sample struct {
	until      time.Time
	suppressed uint64
}

// NewSampler returns a Sampler that tells of each kind once in every interval. The kinds have to be few.
func NewSampler[K comparable](every time.Duration, now func() time.Time) *Sampler[K] {
	return &Sampler[K]{every: every, now: now, kinds: make(map[K]*sample)}
}

// Tell says whether an event of a kind is to be told, and then how many were not since the one before.
func (s *Sampler[K]) Tell(kind K) (suppressed uint64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	k := s.kinds[kind]
	if k == nil {
		k = &sample{}
		s.kinds[kind] = k
	}
	if now.Before(k.until) && k.until.Sub(now) <= s.every { // a clock that was set back silences nobody
		k.suppressed++
		return 0, false
	}
	suppressed, k.suppressed, k.until = k.suppressed, 0, now.Add(s.every)
	return suppressed, true
}
