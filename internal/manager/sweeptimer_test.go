package manager

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/clock"
)

// timers counts the timers that are set, and those that still run.
type timers struct {
	clock.Clock
	set, running atomic.Int64
}

func (c *timers) AfterFunc(d time.Duration, f func()) clock.Timer {
	c.set.Add(1)
	c.running.Add(1)
	return &countedTimer{c.Clock.AfterFunc(d, func() { c.running.Add(-1); f() }), c}
}

type countedTimer struct {
	clock.Timer
	c *timers
}

func (t *countedTimer) Stop() bool {
	running := t.Timer.Stop()
	if running {
		t.c.running.Add(-1)
	}
	return running
}

// TestSweepsDoNotAddUp shows that a token which ends after the next sweep causes
// none of its own, and that there is one timer for the next sweep, however many
// were asked for.
func TestSweepsDoNotAddUp(t *testing.T) {
	t.Parallel()
	c := &timers{}
	w := newWorld(t, func(o *Options) { c.Clock, o.Clock = o.Clock, c })
	w.group("g1", nil)
	quiet := func() bool { w.sweeper.mu.Lock(); defer w.sweeper.mu.Unlock(); return !w.sweeper.due.IsZero() }
	eventually(t, "the first sweep is over", quiet)
	before := c.set.Load()
	for i := range 20 {
		w.device(fmt.Sprint("device-", i), cose.CurveEd25519, entry("g1", responder))
	}
	if n := c.set.Load() - before; n != 0 {
		t.Errorf("%d timers for 20 tokens that end in a day", n)
	}
	d := w.device("short", cose.CurveEd25519)
	d.post(5*time.Second, entry("g1", responder))
	eventually(t, "a sweep sets its timer for the token that ends soon", func() bool {
		w.sweeper.mu.Lock()
		defer w.sweeper.mu.Unlock()
		return w.sweeper.due.Equal(start.Add(5 * time.Second))
	})
	running := c.running.Load()
	for range 5 {
		w.wakeSweep()
		eventually(t, "swept", func() bool { return len(w.sweeper.wake) == 0 && quiet() })
	}
	if n := c.running.Load(); n > running {
		t.Errorf("%d timers run after five sweeps, %d did before", n, running)
	}
}
