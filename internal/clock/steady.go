package clock

import (
	"sync"
	"time"
)

// Steady is a [Clock] that never goes back: when the clock below it is set back, it goes on from the latest time it has shown,
// at the pace of the machine's monotonic clock, until the other has caught up. What has expired stays expired.
//
// Over a restart it needs the [Steady.Mark] of before. It is safe for concurrent use.
type Steady struct {
	below Clock

	mu     sync.Mutex
	latest time.Time // shown last, without monotonic reading
	at     time.Time // what the clock below showed then
}

// NewSteady returns a clock over another that shows no time before floor; the zero time is no bound.
func NewSteady(below Clock, floor time.Time) *Steady {
	return &Steady{below: below, latest: floor.Round(0), at: below.Now()}
}

// Now returns the present time, never one before a time it has returned.
func (s *Steady) Now() time.Time {
	now, _ := s.read()
	return now
}

// Behind returns how far the clock below is behind this one; 0 if it is not.
func (s *Steady) Behind() time.Duration {
	_, behind := s.read()
	return behind
}

// Mark returns the time below which this clock will not show any, to be kept over a restart.
func (s *Steady) Mark() time.Time { return s.Now() }

func (s *Steady) read() (now time.Time, behind time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.below.Now()
	least := s.latest.Add(max(0, at.Sub(s.at))) // monotonic, where the clock below has such readings
	now = at.Round(0)
	if now.Before(least) {
		now, behind = least, least.Sub(now)
	}
	s.latest, s.at = now, at
	return now, behind
}

// AfterFunc implements [Clock].
func (s *Steady) AfterFunc(d time.Duration, f func()) Timer { return s.below.AfterFunc(d, f) }
