package endpoint_test

import (
	"bytes"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/clock"
	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/internal/netsim"
)

// immediate counts the timers that are due at once, and sets no more than 1000 of
// them, so that a loop of such ends.
type immediate struct {
	clock.Clock
	n atomic.Int64
}

func (c *immediate) AfterFunc(d time.Duration, f func()) clock.Timer {
	if d <= 0 && c.n.Add(1) > 1000 {
		d = time.Hour
	}
	return c.Clock.AfterFunc(d, f)
}

// TestObserveWaits is about registrations that wait for their turn to be sent,
// because another request to the same server is outstanding.
func TestObserveWaits(t *testing.T) {
	delay := netsim.Config{Delay: 10 * time.Millisecond}
	// swallow has the server not hear requests for /elsewhere.
	swallow := func(p netsim.Packet) netsim.Verdict {
		m, err := coapmsg.ParseDatagram(bytes.Clone(p.Data))
		v, _ := coapmsg.Get(m.Options, message.URIPath)
		return netsim.Verdict{Drop: err == nil && string(v) == "elsewhere"}
	}
	t.Run("what falls due meanwhile waits too", func(t *testing.T) {
		c := &immediate{Clock: clock.System()}
		inObservatory(t, delay, open, endpoint.Config{Clock: c}, func(t *testing.T, o *observatory) {
			o.opts = []message.Option{{ID: message.MaxAge, Value: []byte{1}}}
			w := o.watch(codes.GET, "plain", "")
			w.want("0")
			o.net.SetFilter(swallow)
			ctx, cancel := within(5 * time.Minute)
			defer cancel()
			begun := time.Now()
			done := make(chan time.Duration)
			go func() { // it is outstanding for more than 45 s
				_, _ = o.client.Do(ctx, endpoint.Request{To: serverAddr, Code: codes.GET, Path: "elsewhere"})
				done <- time.Since(begun)
			}()
			pass(17 * time.Second) // the renewal is due
			o.change("1")
			w.want("1")
			if d := <-done; d < 40*time.Second {
				t.Fatalf("the other request took %v", d)
			}
			if n := c.n.Load(); n > 10 {
				t.Fatalf("%d timers that are due at once", n)
			}
			o.set("2")
			w.want("2") // renewed when it could be
		})
	})
}
