package member_test

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/grouposcore"
	"github.com/cohort-iot/cohort/member"
)

// impostor is an endpoint with a member's keys, that does what the member's own
// software does not.
type impostor struct {
	w    *world
	keys *member.CopiedKeys
	ep   *endpoint.Endpoint
}

func (w *world) impostor(d *device, group string) *impostor {
	w.t.Helper()
	k, err := d.of(group).InsecureCopy()
	w.check(err)
	ep, err := endpoint.New(endpoint.Config{Unicast: netip.AddrPortFrom(w.addrOf(201).Addr(), 0), Network: w.network(), ProbingRate: 1 << 20})
	w.check(err)
	w.t.Cleanup(func() { _ = ep.Close() })
	return &impostor{w, k, ep}
}

func TestRoles(t *testing.T) {
	t.Run("KO-JRESP-22 a request of a member that is no requester is not processed", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			_, l := w.hall(nil, "lamp-1", "lamp-2")
			// What the Group Manager says of peers, a responder hears of requesters only:
			// let lamp-1 know lamp-2 as the responder that it is.
			w.check(l[0].of("hall").Learn(t.Context(), l[1].of("hall"), responder))
			if n := w.impostor(l[1], "hall").ask(l[0].addr); n != 0 {
				t.Errorf("%d answers", n)
			}
			if _, n := l[0].light.state(); n != 0 {
				t.Error("the request was served")
			}
		})
	})
	t.Run("KO-JRESP-22 an answer of a member that is no responder is not taken", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			w.newGroup("hall", nil)
			a, b := w.device("a", both), w.device("b", both)
			a.join("hall", both)
			b.join("hall", both)
			a.answers("hall", "b")
			w.check(a.of("hall").Learn(t.Context(), b.of("hall"), requester))
			a.answers("hall")
			if _, err := a.set("hall", "b", "on"); !errors.Is(err, member.ErrRole) {
				t.Errorf("pairwise: %v", err)
			}
		})
	})
	t.Run("KO-JRESP-22 a member that is no responder serves nobody", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			w.newGroup("hall", nil)
			a, b := w.device("a", both), w.device("b", requester)
			a.join("hall", both)
			b.join("hall", requester)
			p := member.Peer{SenderID: b.of("hall").Status().SenderID, Addr: b.addr}
			if n := w.impostor(a, "hall").ask(p.Addr); n != 0 {
				t.Errorf("%d answers", n)
			}
			if _, n := b.light.state(); n != 0 {
				t.Error("the request was served")
			}
		})
	})
	t.Run("KO-JREQ-06,KO-CRED-03 a monitor looks on and says nothing", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			sw, _ := w.hall(nil, "lamp-1")
			m := w.device("monitor", monitor)
			g := m.join("hall", monitor)
			if st := g.Status(); st.SenderID != nil || st.Stale {
				t.Errorf("%+v", st)
			}
			sw.answers("hall", "lamp-1")
			if _, n := m.light.state(); n != 1 {
				t.Errorf("the monitor saw %d requests", n)
			}
			if _, err := m.set("hall", "switch", "on"); !errors.Is(err, member.ErrRole) {
				t.Errorf("request of a monitor: %v", err)
			}
			w.rekey("hall")
			m.await(member.EventRekeyed, 1)
			sw.await(member.EventRekeyed, 1)
			sw.answers("hall", "lamp-1")
			if n := m.drops.Get(endpoint.DropProtect); n != 0 {
				t.Errorf("%d answers were tried", n)
			}
			if _, n := m.light.state(); n != 2 {
				t.Errorf("the monitor saw %d requests", n)
			}
		})
	})
	t.Run("GO-2.6.1.1-5 a monitor that lost its windows hears nobody before the group has new keys", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			sw, _ := w.hall(nil, "lamp-1")
			m := w.device("monitor", monitor)
			m.join("hall", monitor)
			m.crash()
			m.open()
			time.Sleep(time.Minute)
			sw.answers("hall", "lamp-1")
			if _, n := m.light.state(); n != 0 {
				t.Errorf("the monitor saw %d requests", n)
			}
			w.rekey("hall")
			m.await(member.EventRekeyed, 1)
			sw.await(member.EventRekeyed, 1)
			sw.answers("hall", "lamp-1")
			if _, n := m.light.state(); n != 1 {
				t.Errorf("the monitor saw %d requests", n)
			}
		})
	})
	t.Run("GO-2.6-1 a monitor that was stopped cleanly goes on", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			sw, _ := w.hall(nil, "lamp-1")
			m := w.device("monitor", monitor)
			m.join("hall", monitor)
			sw.answers("hall", "lamp-1")
			m.stop()
			m.open()
			sw.answers("hall", "lamp-1")
			if _, n := m.light.state(); n != 1 {
				t.Errorf("the monitor saw %d requests", n)
			}
		})
	})
	t.Run("KO-JRESP-22 a responder that is no requester asks nobody", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			_, l := w.hall(nil, "lamp-1", "lamp-2")
			for _, err := range l[0].of("hall").Request(t.Context(), member.Request{Code: codes.GET, Path: "/light"}) {
				if !errors.Is(err, member.ErrRole) {
					t.Errorf("request: %v", err)
				}
			}
		})
	})
}

func TestFormerKeys(t *testing.T) {
	t.Run("GO-2.6.3.2-7 messages under the former keys are taken for a while, but not of whom is out", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			w.newGroup("hall", nil)
			l := w.device("lamp-1", responder)
			l.join("hall", responder)
			for _, n := range []string{"switch-1", "switch-2"} {
				w.device(n, requester).join("hall", requester)
			}
			good, bad := w.impostor(w.devices[1], "hall"), w.impostor(w.devices[2], "hall")
			served := func(i *impostor) bool {
				_, before := l.light.state()
				i.ask(l.addr)
				_, after := l.light.state()
				return after > before
			}
			for _, i := range []*impostor{good, bad} {
				if !served(i) {
					t.Fatal("not served before")
				}
			}
			w.evict("hall", "switch-2")
			l.await(member.EventRekeyed, 1)
			if !served(good) {
				t.Error("a member that is late is not served")
			}
			if served(bad) {
				t.Error("who was evicted is served")
			}
			time.Sleep(member.DefaultKeepOld)
			if served(good) {
				t.Error("served under keys that are over")
			}
		})
	})
	t.Run("GO-2.6.3.2-7 or not at all", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			w.newGroup("hall", nil)
			l := w.deviceWith("lamp-1", func(c *member.Config) { c.KeepOld = -1 }, grant("hall", responder))
			l.join("hall", responder)
			sw := w.device("switch", requester)
			sw.join("hall", requester)
			i := w.impostor(sw, "hall")
			w.rekey("hall")
			l.await(member.EventRekeyed, 1)
			i.ask(l.addr)
			if _, n := l.light.state(); n != 0 {
				t.Errorf("%d requests served", n)
			}
		})
	})
}

func TestCredentialThatChanges(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.newGroup("hall", nil)
		a, b, c := w.device("a", both), w.device("b", both), w.device("c", both)
		for _, d := range []*device{a, b, c} {
			d.join("hall", both)
		}
		a.answers("hall", "b", "c")
		// The Group Manager gives b's Sender ID with c's credential: what b signs
		// does not verify any more.
		w.check(a.of("hall").LearnAs(t.Context(), b.of("hall"), c.of("hall")))
		a.answers("hall", "c")
		if p, err := a.of("hall").FindPeer("b"); err == nil {
			t.Errorf("b is still %x", p.SenderID)
		}
	})
}

// ask sends GET /light to one member, signed, and returns how many answers
// verify.
func (i *impostor) ask(to netip.AddrPort) int {
	i.w.t.Helper()
	ctx, cancel := context.WithTimeout(i.w.t.Context(), time.Second)
	defer cancel()
	_, err := i.ep.Do(ctx, endpoint.Request{
		To: to, Code: codes.GET, Path: "/light", Security: endpoint.WithGroup(grouposcore.NewGroup(i.keys.Context)),
	})
	if err != nil {
		return 0
	}
	return 1
}
