package member_test

import (
	"bytes"
	"sync/atomic"
	"testing"
	"time"

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
			w.late(l[0], 300*time.Millisecond)
			w.rekey("hall")
			sw.await(member.EventRekeyed, 1)
			sw.answers("hall", "lamp-1") // in time for the one request
			if _, n := l[0].light.state(); n != 2 {
				t.Errorf("%d requests served", n)
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
					v.Delay = 300 * time.Millisecond
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
