package member_test

import (
	"bytes"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cohort-iot/cohort/internal/manager"
	"github.com/cohort-iot/cohort/internal/netsim"
	"github.com/cohort-iot/cohort/member"
)

// late holds up what the servers send to a device.
func (w *world) late(d *device, by time.Duration) {
	w.net.SetFilter(func(p netsim.Packet) (v netsim.Verdict) {
		if p.From == w.addr && p.Receiver == d.addr {
			v.Delay = by
		}
		return v
	})
}

func TestRequestsUnderUnknownGids(t *testing.T) {
	t.Run("GO-14.5.2-1 a request that overtakes the rekeying message is served when that comes", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			sw, l := w.hall(nil, "lamp-1")
			sw.answers("hall", "lamp-1")
			time.Sleep(time.Minute)
			w.late(l[0], 1200*time.Millisecond)
			w.rekey("hall")
			sw.await(member.EventRekeyed, 1)
			sw.answers("hall", "lamp-1") // in time for the one request
			if _, n := l[0].light.state(); n != 2 {
				t.Errorf("%d requests served", n)
			}
		})
	})
	t.Run("KG-REKEY-24 made-up Gids do not keep out a true one for longer than they wait", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			w.rig = func(o *manager.Options) { o.Delivery = nil }
			w.restart(false)
			sw, l := w.hall(nil, "lamp-1")
			sw.answers("hall", "lamp-1")
			mend := w.cut(l[0])
			for i := range byte(20) { // the check that they cause cannot be made
				w.forge(l[0], []byte{9, i}, 1, func(int) []byte { return []byte{i} })
			}
			time.Sleep(time.Minute)
			w.rekey("hall")
			w.check(sw.of("hall").Check(t.Context()))
			got := make(chan int)
			go func() { got <- len(sw.ask("hall")) }()
			time.Sleep(50 * time.Millisecond)
			mend()
			w.check(l[0].of("hall").Check(t.Context()))
			if n := <-got; n != 1 {
				t.Errorf("%d answers", n)
			}
		})
	})
	t.Run("GO-7.2-10 copies of a request that waited are served once", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			sw, l := w.hall(nil, "lamp-1")
			sw.answers("hall", "lamp-1")
			time.Sleep(time.Minute)
			var copies atomic.Int64
			c, err := w.net.Listen(w.addrOf(203))
			w.check(err)
			defer c.Close()
			w.net.SetFilter(func(p netsim.Packet) (v netsim.Verdict) {
				switch {
				case p.From == w.addr && p.Receiver == l[0].addr:
					v.Delay = time.Second
				case p.From == sw.addr && p.To == w.group && copies.Add(1) == 1:
					b := bytes.Clone(p.Data)
					go func() {
						for range 5 {
							_ = c.WriteTo(b, l[0].addr, w.addr.Addr(), 0, 0)
						}
					}()
				}
				return v
			})
			w.rekey("hall")
			sw.await(member.EventRekeyed, 1)
			sw.ask("hall")
			time.Sleep(10 * time.Second)
			if _, n := l[0].light.state(); n != 2 {
				t.Errorf("%d requests served, want 2", n)
			}
		})
	})
}
