package member_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/mux"

	"github.com/cohort-iot/cohort/internal/netsim"
	"github.com/cohort-iot/cohort/member"
)

// observedHall is a hall whose members observe their group.
func (w *world) observedHall(how member.Rekeying) (sw, lamp *device) {
	w.t.Helper()
	w.newGroup("hall", nil)
	by := func(c *member.Config) { c.Rekeying = how }
	lamp, sw = w.deviceWith("lamp-1", by, grant("*", responder)), w.deviceWith("switch", by, grant("*", requester))
	lamp.join("hall", responder)
	sw.join("hall", requester)
	time.Sleep(5 * time.Second) // the observations have begun
	return sw, lamp
}

// slow makes the servers wait before they answer some requests.
func (w *world) slow(code codes.Code, path string, by time.Duration) {
	w.asking.Lock()
	defer w.asking.Unlock()
	w.instead = func(a asked, _ mux.ResponseWriter) bool {
		if a.code == code && a.path == path {
			time.Sleep(by)
		}
		return false
	}
}

func TestRekeyingByObservation(t *testing.T) {
	t.Run("KO-RK-11,KO-PAR-02 a notification brings the keys, and the device shows that it has them", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			sw, lamp := w.observedHall(member.RekeyByObservation)
			if m, _ := w.node("hall", "switch"); m.ControlURI != "" {
				t.Errorf("control URI %q", m.ControlURI)
			}
			before := sw.of("hall").Status()
			w.rekey("hall")
			sw.await(member.EventRekeyed, 1)
			lamp.await(member.EventRekeyed, 1)
			sw.answers("hall", "lamp-1")
			if after := sw.of("hall").Status(); !bytes.Equal(after.SenderID, before.SenderID) || bytes.Equal(after.Gid, before.Gid) {
				t.Errorf("before %+v, after %+v", before, after)
			}
			time.Sleep(5 * time.Second)
			for _, n := range []string{"switch", "lamp-1"} {
				if m, _ := w.node("hall", n); !m.Confirmed {
					t.Errorf("%s has not shown that it has the keys", n)
				}
			}
			if n := sw.count(member.EventMissed) + lamp.count(member.EventMissed); n != 0 {
				t.Errorf("%d missed", n)
			}
		})
	})
	t.Run("KO-RK-13 stale members are forgotten", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			sw, _ := w.observedHall(member.RekeyByObservation)
			gone := w.device("lamp-2", responder)
			gone.join("hall", responder)
			sw.answers("hall", "lamp-1", "lamp-2")
			w.evict("hall", "lamp-2")
			sw.await(member.EventRekeyed, 1)
			if _, err := sw.of("hall").FindPeer("lamp-2"); err == nil {
				t.Error("the switch still knows the evicted lamp")
			}
			sw.answers("hall", "lamp-1")
		})
	})
	t.Run("KO-OPS-29 material that the device has changes nothing", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			sw, lamp := w.observedHall(member.RekeyByObservation)
			_, err := sw.set("hall", "lamp-1", "on")
			w.check(err)
			where, before := sw.of("hall").SequenceName(), sw.of("hall").NumbersLeft()
			time.Sleep(time.Hour) // the registrations are renewed, each answered with the same keys
			w.check(sw.of("hall").Compare(t.Context()))
			if after := sw.of("hall").NumbersLeft(); after != before || sw.of("hall").SequenceName() != where {
				t.Errorf("%d numbers left in %s, before %d in %s", after, sw.of("hall").SequenceName(), before, where)
			}
			if n := sw.count(member.EventRekeyed) + sw.count(member.EventMissed) + sw.count(member.EventNewID); n != 0 {
				t.Errorf("%s", sw.all())
			}
			_, err = sw.set("hall", "lamp-1", "off")
			w.check(err)
			if _, n := lamp.light.state(); n != 2 {
				t.Errorf("%d of 2 requests served", n)
			}
		})
	})
	t.Run("KO-OPS-29 another Sender ID, whose first answer was lost, is taken", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			sw, _ := w.observedHall(member.RekeyByObservation)
			id := sw.of("hall").Status().SenderID
			w.net.SetFilter(func(p netsim.Packet) netsim.Verdict {
				return netsim.Verdict{Drop: p.From == w.addr && p.Receiver == sw.addr}
			})
			if err := sw.of("hall").RenewSenderID(t.Context()); err == nil {
				t.Fatal("the answer was not lost")
			}
			w.net.SetFilter(nil)
			w.check(sw.of("hall").Compare(t.Context()))
			if bytes.Equal(sw.of("hall").Status().SenderID, id) {
				t.Error("it goes on with the Sender ID that is stale")
			}
			sw.answers("hall", "lamp-1")
		})
	})
	t.Run("KO-RK-05 lost notifications are made up for by the renewal of the registration", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			sw, lamp := w.observedHall(member.RekeyByObservation)
			mend := w.cut(sw, lamp)
			w.rekey("hall")
			w.rekey("hall")
			time.Sleep(2 * time.Minute)
			mend()
			for _, d := range []*device{sw, lamp} {
				d.awaitFor(member.EventMissed, 1, 6*time.Minute)
			}
			sw.answers("hall", "lamp-1")
		})
	})
	t.Run("KO-RK-05 one lost notification", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			sw, lamp := w.observedHall(member.RekeyByObservation)
			lost := 0
			w.net.SetFilter(func(p netsim.Packet) netsim.Verdict {
				if p.From == w.addr && p.Receiver == sw.addr && lost < 1 {
					lost++
					return netsim.Verdict{Drop: true}
				}
				return netsim.Verdict{}
			})
			w.rekey("hall")
			lamp.await(member.EventRekeyed, 1)
			time.Sleep(2 * time.Minute)
			if !sw.current("hall") {
				t.Errorf("%+v; %s", sw.of("hall").Status(), sw.all())
			}
			sw.answers("hall", "lamp-1")
		})
	})
	t.Run("KG-REM-05 an eviction reaches a device that only observes", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			sw, lamp := w.observedHall(member.RekeyByObservation)
			w.evict("hall", "lamp-1")
			lamp.await(member.EventEvicted, 1)
			assertNoKeys(t, lamp)
			sw.await(member.EventRekeyed, 1)
		})
	})
	for _, how := range []member.Rekeying{member.RekeyByObservation, member.RekeyByBoth} {
		t.Run("KG-ERR-12,KG-NODE-17 a device that was off longer than its token lasts joins again, its observation refused meanwhile: "+how.String(), func(t *testing.T) {
			simulate(t, func(t *testing.T, w *world) {
				sw, lamp := w.observedHall(how)
				sw.answers("hall", "lamp-1")
				lamp.stop()
				time.Sleep(11 * time.Hour)
				if _, ok := w.node("hall", "lamp-1"); ok {
					t.Fatal("lamp-1 is still a member")
				}
				w.slow(codes.POST, "/ace-group/hall", time.Second)
				lamp.open()
				lamp.await(member.EventJoined, 2)
				time.Sleep(10 * time.Second) // the observation has begun
				if lamp.count(member.EventEvicted) != 0 {
					t.Errorf("%s", lamp.all())
				}
				n := lamp.count(member.EventRekeyed)
				w.rekey("hall")
				lamp.await(member.EventRekeyed, n+1)
				sw.answers("hall", "lamp-1")
				w.evict("hall", "lamp-1") // of which the observation tells again
				lamp.await(member.EventEvicted, 1)
				assertNoKeys(t, lamp)
			})
		})
	}
	t.Run("the observation outlives restarts of the Group Manager and new tokens", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			sw, lamp := w.observedHall(member.RekeyByObservation)
			w.restart(false)
			for _, d := range []*device{sw, lamp} {
				d.awaitFor(member.EventMissed, 1, 10*time.Minute)
			}
			time.Sleep(25 * time.Hour)
			n := sw.count(member.EventRekeyed)
			for i := range 3 {
				time.Sleep(2 * time.Second)
				w.rekey("hall")
				sw.awaitFor(member.EventRekeyed, n+i+1, time.Minute)
			}
			sw.answers("hall", "lamp-1")
		})
	})
	t.Run("both: the post confirms, whatever comes first", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			sw, lamp := w.observedHall(member.RekeyByBoth)
			w.rekey("hall")
			sw.await(member.EventRekeyed, 1)
			lamp.await(member.EventRekeyed, 1)
			time.Sleep(time.Second)
			for _, n := range []string{"switch", "lamp-1"} {
				if m, _ := w.node("hall", n); !m.Confirmed || m.ControlURI == "" {
					t.Errorf("%s: %+v", n, m)
				}
			}
			if sw.count(member.EventRekeyed) != 1 {
				t.Error(sw.all())
			}
			sw.answers("hall", "lamp-1")
		})
	})
}
