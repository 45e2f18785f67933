package member_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/cohort-iot/cohort/internal/clock"
	"github.com/cohort-iot/cohort/internal/manager"
	"github.com/cohort-iot/cohort/member"
)

// wrongClock is off by some time, and can be set while it runs. Its times have no
// monotonic part: nothing but the wall clock is there.
type wrongClock struct {
	clock.Clock
	off atomic.Int64
}

func (c *wrongClock) Now() time.Time {
	return c.Clock.Now().Round(0).Add(time.Duration(c.off.Load()))
}

const year = 365 * 24 * time.Hour

func TestWrongClock(t *testing.T) {
	for name, off := range map[string]time.Duration{"years behind": -20 * year, "years ahead": 20 * year} {
		t.Run("KG-JRESP-03 "+name+": the keys expire when the Group Manager says", func(t *testing.T) {
			simulate(t, func(t *testing.T, w *world) {
				w.newGroup("hall", func(c *manager.GroupConfig) { c.KeyLifetime = time.Hour })
				c := &wrongClock{Clock: clock.System()}
				c.off.Store(int64(off))
				d := w.deviceWith("lamp-1", func(m *member.Config) { m.Clock = c }, grant("*", both))
				other := w.device("lamp-2", both)
				d.join("hall", both)
				other.join("hall", both)
				d.answers("hall", "lamp-2")
				w.cut(d)
				time.Sleep(59 * time.Minute)
				if d.count(member.EventExpired) != 0 {
					t.Error("expired too early")
				}
				time.Sleep(2 * time.Minute)
				if d.count(member.EventExpired) != 1 {
					t.Error("never expired")
				}
			})
		})
	}
	t.Run("KG-NODE-07 set while the device was off: current keys go on", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			w.newGroup("hall", nil)
			c := &wrongClock{Clock: clock.System()}
			d := w.deviceWith("switch", func(m *member.Config) { m.Clock = c }, grant("*", requester))
			l := w.device("lamp-1", responder)
			l.join("hall", responder)
			d.join("hall", requester)
			d.answers("hall", "lamp-1")
			d.stop()
			c.off.Store(int64(20 * year))
			d.open()
			time.Sleep(time.Minute)
			if d.count(member.EventExpired) == 0 {
				t.Error("the clock was not set")
			}
			d.answers("hall", "lamp-1")
			if v := d.of("hall").Status().Version; v != w.version("hall") || d.count(member.EventRekeyed)+d.count(member.EventMissed) != 0 {
				t.Errorf("version %d; %s", v, d.all())
			}
		})
	})
}
