package member_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/cohort-iot/cohort/internal/manager"
	"github.com/cohort-iot/cohort/internal/netsim"
	"github.com/cohort-iot/cohort/member"
)

// cut drops everything between the servers and some devices until the returned
// function is called.
func (w *world) cut(devices ...*device) (mend func()) {
	w.net.SetFilter(func(p netsim.Packet) netsim.Verdict {
		for _, d := range devices {
			if p.From == w.addr && p.Receiver == d.addr || p.From == d.addr && p.Receiver == w.addr {
				return netsim.Verdict{Drop: true}
			}
		}
		return netsim.Verdict{}
	})
	return func() { w.net.SetFilter(nil) }
}

// hall makes a group of a switch and lamps.
func (w *world) hall(rig func(*manager.GroupConfig), lamps ...string) (sw *device, list []*device) {
	w.t.Helper()
	w.newGroup("hall", rig)
	for _, n := range lamps {
		d := w.device(n, responder)
		d.join("hall", responder)
		list = append(list, d)
	}
	sw = w.device("switch", requester)
	sw.join("hall", requester)
	return sw, list
}

func TestRekeying(t *testing.T) {
	t.Run("KO-RK-14,KO-RK-11,GO-2.6.3.2-6 next version is installed and confirmed", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			sw, l := w.hall(nil, "lamp-1", "lamp-2")
			before := sw.of("hall").Status()
			w.rekey("hall")
			for _, d := range []*device{sw, l[0], l[1]} {
				d.await(member.EventRekeyed, 1)
				if !d.current("hall") {
					t.Errorf("%s has %+v", d.name, d.of("hall").Status())
				}
			}
			after := sw.of("hall").Status()
			if bytes.Equal(after.Gid, before.Gid) || !bytes.Equal(after.SenderID, before.SenderID) {
				t.Errorf("before %+v, after %+v", before, after)
			}
			time.Sleep(time.Second) // until the Group Manager has written the confirmations
			for _, n := range []string{"switch", "lamp-1", "lamp-2"} {
				if m, _ := w.node("hall", n); !m.Confirmed {
					t.Errorf("%s has not confirmed", n)
				}
			}
			for _, a := range sw.answers("hall", "lamp-1", "lamp-2") {
				if a.Version != after.Version {
					t.Errorf("answer under version %d", a.Version)
				}
			}
		})
	})
	t.Run("KO-RK-13 stale members are forgotten before the new keys are used", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			sw, _ := w.hall(nil, "lamp-1", "lamp-2")
			sw.answers("hall", "lamp-1", "lamp-2")
			gone, err := sw.of("hall").FindPeer("lamp-2")
			w.check(err)
			w.evict("hall", "lamp-2")
			sw.await(member.EventRekeyed, 1)
			for _, p := range sw.of("hall").Peers() {
				if bytes.Equal(p.SenderID, gone.SenderID) {
					t.Error("the switch still knows the evicted lamp")
				}
			}
			sw.answers("hall", "lamp-1")
		})
	})
	t.Run("KO-RK-15 version that is not newer is ignored", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			sw, _ := w.hall(nil, "lamp-1")
			w.rekey("hall")
			sw.await(member.EventRekeyed, 1)
			g := sw.of("hall")
			before := g.Status()
			for _, v := range []uint64{before.Version, before.Version - 1} {
				w.check(g.TakeRekey(t.Context(), g.RekeyMessage(v, []byte{9, 9}, bytes.Repeat([]byte{1}, 32))))
			}
			if after := g.Status(); !bytes.Equal(after.Gid, before.Gid) || after.Version != before.Version {
				t.Errorf("before %+v, after %+v", before, after)
			}
		})
	})
	t.Run("KO-RK-14,KO-MISS-02,KO-MISS-03,KO-MISS-08,GO-12.2-13,GO-12.2-14 message of a later version starts the missed-rekeying procedure", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			sw, l := w.hall(nil, "lamp-1", "lamp-2")
			sw.answers("hall", "lamp-1", "lamp-2")
			mend := w.cut(sw)
			w.evict("hall", "lamp-2")
			l[0].await(member.EventRekeyed, 1)
			w.rekey("hall")
			l[0].await(member.EventRekeyed, 2)
			time.Sleep(2 * time.Minute) // the message of the first rekeying is not retransmitted any more
			mend()
			sw.awaitFor(member.EventMissed, 1, time.Minute)
			if !sw.current("hall") || sw.count(member.EventRekeyed) != 0 {
				t.Errorf("%+v; %s", sw.of("hall").Status(), sw.all())
			}
			if _, err := sw.of("hall").FindPeer("lamp-2"); !errors.Is(err, member.ErrUnknownPeer) {
				t.Errorf("evicted lamp: %v", err)
			}
			sw.answers("hall", "lamp-1")
		})
	})
	t.Run("KO-MISS-08 a device that gave up its keys and could not get the current ones goes on trying", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			w.rig = func(o *manager.Options) { o.Delivery = nil }
			w.restart(false)
			sw, _ := w.hall(nil, "lamp-1")
			w.rekey("hall")
			w.rekey("hall")
			g := sw.of("hall")
			mend := w.cut(sw)
			if err := g.TakeRekey(t.Context(), g.RekeyMessage(w.version("hall"), []byte{9}, bytes.Repeat([]byte{1}, 32))); err == nil || !g.Status().Stale {
				t.Fatalf("error %v, %+v", err, g.Status())
			}
			mend()
			sw.awaitFor(member.EventMissed, 1, time.Minute)
			if !sw.current("hall") {
				t.Errorf("%+v", g.Status())
			}
		})
	})
	t.Run("KO-JRESP-20 absent salt is the empty one", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			sw, _ := w.hall(nil, "lamp-1")
			g := sw.of("hall")
			v := g.Status().Version
			w.check(g.TakeRekey(t.Context(), g.RekeyMessage(v+1, []byte{7}, bytes.Repeat([]byte{1}, 32))))
			k, err := g.InsecureCopy()
			w.check(err)
			if len(k.Params.MasterSalt) != 0 || !bytes.Equal(k.Params.MasterSecret, bytes.Repeat([]byte{1}, 32)) {
				t.Error("salt of another epoch")
			}
		})
	})
	t.Run("KG-NODE-07 keys that were in use do not come back", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			sw, _ := w.hall(nil, "lamp-1")
			g := sw.of("hall")
			k, err := g.InsecureCopy()
			w.check(err)
			w.rekey("hall")
			sw.await(member.EventRekeyed, 1)
			v := g.Status().Version
			err = g.TakeRekey(t.Context(), g.RekeyMessage(v+1, k.Params.Gid, k.Params.MasterSecret))
			if !errors.Is(err, member.ErrManager) {
				t.Errorf("old keys as version %d: %v", v+1, err)
			}
			if st := g.Status(); st.Version != v || st.Stale {
				t.Errorf("%+v", st)
			}
		})
	})
}

func TestMissedRekeying(t *testing.T) {
	// Whoever is cut off while the group is rekeyed n times finds out as told.
	miss := func(rekeyings int, finds func(w *world, sw *device, l []*device)) func(t *testing.T) {
		return func(t *testing.T) {
			simulate(t, func(t *testing.T, w *world) {
				w.rig = func(o *manager.Options) { o.DeliveryAttempts = 1 }
				w.restart(false)
				sw, l := w.hall(func(c *manager.GroupConfig) { c.MaxStaleSets = 3 }, "lamp-1", "lamp-2", "lamp-3")
				sw.answers("hall", "lamp-1", "lamp-2", "lamp-3")
				mend := w.cut(sw)
				w.evict("hall", "lamp-3")
				for range rekeyings - 1 {
					time.Sleep(time.Second)
					w.rekey("hall")
				}
				for _, d := range l[:2] {
					d.await(member.EventRekeyed, rekeyings)
				}
				time.Sleep(3 * time.Minute) // the Group Manager gives the delivery up
				mend()
				if n := len(sw.ask("hall")); n != 0 && sw.count(member.EventMissed) == 0 {
					t.Errorf("%d answers under old keys", n)
				}
				finds(w, sw, l)
				if !sw.current("hall") || sw.count(member.EventMissed) != 1 {
					t.Errorf("%+v; %s", sw.of("hall").Status(), sw.all())
				}
				sw.answers("hall", "lamp-1", "lamp-2")
				if _, err := sw.of("hall").FindPeer("lamp-3"); !errors.Is(err, member.ErrUnknownPeer) {
					t.Errorf("evicted lamp: %v", err)
				}
			})
		}
	}
	byItself := func(w *world, sw *device, _ []*device) { sw.awaitFor(member.EventMissed, 1, 10*time.Second) }
	t.Run("KG-REKEY-19,KO-MISS-05,GO-12.2-17 request that nobody answers leads to a check; the stale members are known", miss(1, byItself))
	t.Run("KO-MISS-04,KO-MISS-06 stale members are not known any more: all are forgotten", miss(4, byItself))
	t.Run("KO-MISS-01,KG-NODE-09 check on demand", miss(2, func(w *world, sw *device, _ []*device) {
		w.check(sw.of("hall").Check(w.t.Context()))
	}))

	t.Run("KG-REKEY-19,GO-14.5.2-1 message under an unknown Gid leads to a check", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			w.rig = func(o *manager.Options) { o.DeliveryAttempts = 1 }
			w.restart(false)
			sw, l := w.hall(nil, "lamp-1", "lamp-2")
			mend := w.cut(l[0])
			w.rekey("hall")
			sw.await(member.EventRekeyed, 1)
			time.Sleep(3 * time.Minute)
			mend()
			sw.ask("hall")
			l[0].awaitFor(member.EventMissed, 1, 10*time.Second)
			sw.answers("hall", "lamp-1", "lamp-2")
		})
	})
	t.Run("KO-PAR-05 the Key Update Check Interval leads to a check, whatever the traffic", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			w.rig = func(o *manager.Options) { o.Delivery = nil }
			w.restart(false)
			sw, l := w.hall(func(c *manager.GroupConfig) { c.CheckInterval = 10 * time.Minute }, "lamp-1")
			w.rekey("hall")
			for range 11 {
				time.Sleep(time.Minute)
				sw.ask("hall") // both have the old keys and talk
			}
			for _, d := range []*device{sw, l[0]} {
				if !d.current("hall") {
					t.Errorf("%s has %+v", d.name, d.of("hall").Status())
				}
			}
			sw.answers("hall", "lamp-1")
		})
	})
	t.Run("KO-MISS-06 credentials of a later version lead to a check", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			w.rig = func(o *manager.Options) { o.Delivery = nil }
			w.restart(false)
			sw, l := w.hall(nil, "lamp-1")
			w.rekey("hall")
			w.check(sw.of("hall").Check(t.Context()))
			w.check(l[0].of("hall").Check(t.Context()))
			late := w.device("lamp-2", responder)
			late.join("hall", responder)
			w.rekey("hall")
			w.check(late.of("hall").Check(t.Context()))
			w.check(l[0].of("hall").Check(t.Context()))
			sw.ask("hall") // nobody understands it; the switch finds out
			sw.await(member.EventMissed, 2)
			sw.answers("hall", "lamp-1", "lamp-2")
		})
	})
}
