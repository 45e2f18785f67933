package clock

import (
	"sync"
	"time"
)

// Fake is a [Clock] that stands still until it is moved. It is safe for
// concurrent use. Callbacks run on the goroutine that calls [Fake.Advance].
type Fake struct {
	mu     sync.Mutex
	now    time.Time
	serial uint64
	timers []*fakeTimer
}

type fakeTimer struct {
	clock  *Fake
	due    time.Time
	serial uint64 // order of creation, for timers that are due at the same instant
	f      func()
}

// NewFake returns a clock that shows t.
func NewFake(t time.Time) *Fake { return &Fake{now: t} }

// Now returns the time shown.
func (c *Fake) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// AfterFunc registers f for d from now. A d that is not positive is due at once,
// which means at the next Advance, even by 0.
func (c *Fake) AfterFunc(d time.Duration, f func()) Timer {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.serial++
	t := &fakeTimer{clock: c, due: c.now.Add(max(d, 0)), serial: c.serial, f: f}
	c.timers = append(c.timers, t)
	return t
}

// Advance moves the clock by d and runs, in the order of their times, all
// functions that fall due on the way, including those registered meanwhile.
// While a function runs the clock shows the time at which it was due. When
// Advance returns, all of them have returned.
func (c *Fake) Advance(d time.Duration) {
	c.mu.Lock()
	end := c.now.Add(max(d, 0))
	for {
		i := c.first()
		if i < 0 || c.timers[i].due.After(end) {
			break
		}
		t := c.timers[i]
		c.timers = append(c.timers[:i], c.timers[i+1:]...)
		if t.due.After(c.now) {
			c.now = t.due
		}
		c.mu.Unlock()
		t.f()
		c.mu.Lock()
	}
	if end.After(c.now) {
		c.now = end
	}
	c.mu.Unlock()
}

// Next returns the time of the earliest pending call; ok is false if none is pending.
func (c *Fake) Next() (due time.Time, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := c.first()
	if i < 0 {
		return time.Time{}, false
	}
	return c.timers[i].due, true
}

// Pending returns how many calls are pending.
func (c *Fake) Pending() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.timers)
}

// first returns the index of the timer to run next, or -1. The caller holds mu.
func (c *Fake) first() int {
	best := -1
	for i, t := range c.timers {
		if best < 0 || t.due.Before(c.timers[best].due) ||
			t.due.Equal(c.timers[best].due) && t.serial < c.timers[best].serial {
			best = i
		}
	}
	return best
}

// Stop removes the call.
func (t *fakeTimer) Stop() bool {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	for i, o := range t.clock.timers {
		if o == t {
			t.clock.timers = append(t.clock.timers[:i], t.clock.timers[i+1:]...)
			return true
		}
	}
	return false
}
