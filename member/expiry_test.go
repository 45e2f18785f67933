package member_test

import (
	"errors"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/internal/manager"
	"github.com/cohort-iot/cohort/member"
)

// try sends one request and returns its error.
func (d *device) try(group string) error {
	for _, err := range d.of(group).Request(d.w.t.Context(), member.Request{Code: codes.GET, Path: "/light"}) {
		if err != nil {
			return err
		}
	}
	return nil
}

func TestExpiry(t *testing.T) {
	expired := func(delta time.Duration, f func(t *testing.T, w *world, sw, l *device)) func(t *testing.T) {
		return func(t *testing.T) {
			simulate(t, func(t *testing.T, w *world) {
				sw, l := w.hall(func(c *manager.GroupConfig) {
					c.KeyLifetime, c.ExpirationDelta, c.CheckInterval = time.Hour, delta, 10*time.Minute
				}, "lamp-1")
				sw.answers("hall", "lamp-1")
				w.cut(sw, l[0])
				f(t, w, sw, l[0])
			})
		}
	}
	t.Run("KG-JRESP-03,KG-NODE-07 nothing is sent under keys that have expired", expired(0, func(t *testing.T, w *world, sw, l *device) {
		time.Sleep(59 * time.Minute)
		sw.answers("hall", "lamp-1")
		time.Sleep(2 * time.Minute)
		if err := sw.try("hall"); !errors.Is(err, member.ErrStaleKey) {
			t.Errorf("request: %v", err)
		}
		if sw.count(member.EventExpired) != 1 || l.count(member.EventExpired) != 1 {
			t.Errorf("%s; %s", sw.all(), l.all())
		}
	}))
	t.Run("KG-JRESP-09,KG-NODE-08 nor is anything taken", expired(0, func(t *testing.T, w *world, sw, l *device) {
		i := w.impostor(sw, "hall")
		time.Sleep(61 * time.Minute)
		i.ask(l.addr)
		if _, n := l.light.state(); n != 1 {
			t.Errorf("%d requests served", n)
		}
	}))
	t.Run("KG-JRESP-03,KG-JRESP-09 in the Expiration Delta requests are taken, and not answered", expired(10*time.Minute, func(t *testing.T, w *world, sw, l *device) {
		i := w.impostor(sw, "hall")
		time.Sleep(61 * time.Minute)
		if n := i.ask(l.addr); n != 0 {
			t.Errorf("%d answers under expired keys", n)
		}
		if _, n := l.light.state(); n != 2 {
			t.Errorf("%d requests served", n)
		}
		time.Sleep(10 * time.Minute)
		i.ask(l.addr)
		if _, n := l.light.state(); n != 2 {
			t.Errorf("%d requests served after the delta", n)
		}
	}))
	t.Run("KG-NODE-09 newer keys are asked for, and end it", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			w.rig = func(o *manager.Options) { o.Delivery = nil }
			w.restart(false)
			sw, l := w.hall(func(c *manager.GroupConfig) { c.KeyLifetime, c.CheckInterval = time.Hour, 24*time.Hour }, "lamp-1")
			sw.answers("hall", "lamp-1")
			time.Sleep(time.Hour + 2*time.Minute)
			for _, d := range []*device{sw, l[0]} {
				if !d.current("hall") || d.count(member.EventMissed) != 1 {
					t.Errorf("%s: %+v; %s", d.name, d.of("hall").Status(), d.all())
				}
			}
			sw.answers("hall", "lamp-1")
		})
	})
	t.Run("KG-NODE-09 without them the Group Manager is asked now and then", expired(0, func(t *testing.T, w *world, sw, _ *device) {
		time.Sleep(61 * time.Minute)
		before := w.net.Stats().Sent
		time.Sleep(time.Hour)
		if n := w.net.Stats().Sent - before; n > 1000 {
			t.Errorf("%d datagrams in an hour", n)
		}
	}))
}

func TestInactive(t *testing.T) {
	t.Run("KO-OPS-23,KO-RES-12 in an inactive group nothing is sent and nothing taken, until it is active again", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			sw, l := w.hall(nil, "lamp-1")
			sw.answers("hall", "lamp-1")
			other := w.device("switch-2", requester)
			other.join("hall", requester)
			i := w.impostor(other, "hall")
			w.check(w.gm.SetActive(t.Context(), "hall", false))
			for _, d := range []*device{sw, l[0]} {
				w.check(d.of("hall").Check(t.Context()))
				if !d.of("hall").Status().Inactive || d.count(member.EventInactive) != 1 {
					t.Errorf("%s: %+v", d.name, d.of("hall").Status())
				}
			}
			if err := sw.try("hall"); !errors.Is(err, member.ErrInactive) {
				t.Errorf("request: %v", err)
			}
			i.ask(l[0].addr)
			if _, n := l[0].light.state(); n != 1 {
				t.Errorf("%d requests served", n)
			}
			w.check(w.gm.SetActive(t.Context(), "hall", true))
			for _, d := range []*device{sw, l[0]} {
				d.awaitFor(member.EventActive, 1, 2*time.Minute)
			}
			sw.answers("hall", "lamp-1")
		})
	})
	t.Run("KO-PAR-06 a responder that restarts in an inactive group waits", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			sw, l := w.hall(nil, "lamp-1")
			w.check(w.gm.SetActive(t.Context(), "hall", false))
			l[0].crash()
			l[0].open()
			l[0].await(member.EventInactive, 1)
			time.Sleep(10 * time.Minute)
			w.check(w.gm.SetActive(t.Context(), "hall", true))
			l[0].awaitFor(member.EventNewID, 1, 10*time.Minute)
			sw.answers("hall", "lamp-1")
		})
	})
}

func TestTokenIsRenewed(t *testing.T) {
	t.Run("AO-005,AO-031,AO-032 before it runs out, and the association goes on", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			sw, l := w.hall(func(c *manager.GroupConfig) { c.CheckInterval = 24 * time.Hour }, "lamp-1")
			for range 8 { // tokens last 10 hours
				time.Sleep(6 * time.Hour)
				sw.answers("hall", "lamp-1")
			}
			for _, d := range []*device{sw, l[0]} {
				if d.count(member.EventEvicted) != 0 || d.count(member.EventAssociated) != 1 {
					t.Errorf("%s: %s", d.name, d.all())
				}
			}
		})
	})
	t.Run("the Authorization Server is away when it should be renewed", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			sw, l := w.hall(func(c *manager.GroupConfig) { c.CheckInterval = 24 * time.Hour }, "lamp-1")
			mend := w.cut(sw, l[0])
			time.Sleep(9 * time.Hour)
			mend()
			time.Sleep(12 * time.Hour)
			sw.answers("hall", "lamp-1")
			for _, d := range []*device{sw, l[0]} {
				if d.count(member.EventEvicted) != 0 {
					t.Errorf("%s: %s", d.name, d.all())
				}
			}
		})
	})
	t.Run("KG-NODE-07 a grant that is taken back ends the membership at the next token", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			sw, l := w.hall(nil, "lamp-1")
			g := l[0].of("hall")
			w.check(w.as.SetGrants(t.Context(), "lamp-1", grants("cellar", responder)))
			time.Sleep(11 * time.Hour)
			if !errors.Is(g.Err(), member.ErrEvicted) {
				t.Errorf("membership: %v", g.Err())
			}
			assertNoKeys(t, l[0])
			sw.answers("hall")
		})
	})
}
