package endpoint_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/oscore"
)

// What comes before the first request of a context may take its time, and fail.
func TestFirstRequest(t *testing.T) {
	t.Run("a first request that is retransmitted while a slow store confirms is no replay", func(t *testing.T) {
		for _, invalid := range []bool{false, true} {
			inWorld(t, endpoint.Config{}, func(t *testing.T, w *world) {
				c, s := oscorePair(t, "C", "S", nil)
				if invalid {
					s.Invalidate()
				}
				ctxs := &endpoint.Contexts{}
				failures := 3
				if err := ctxs.AddOSCORE(s, "a", func() error {
					if failures--; failures >= 0 {
						time.Sleep(100 * time.Millisecond)
						return errors.New("store is busy")
					}
					time.Sleep(20 * time.Second)
					return nil
				}); err != nil {
					t.Fatal(err)
				}
				meter := &endpoint.Counters{}
				start(t, endpoint.Config{Network: w.net, Unicast: otherAddr, Openers: []endpoint.RequestOpener{ctxs}, Handler: whoami, Meter: meter})
				client := start(t, endpoint.Config{Network: w.net, Unicast: lateAddr})
				resp, err := client.Do(t.Context(), endpoint.Request{To: otherAddr, Code: codes.GET, Path: "a", Security: endpoint.WithOSCORE(c)})
				answered(t, resp, err, "a C ")
				if n := meter.Get(endpoint.DropNotReady); n != 3 {
					t.Fatalf("confirmed at the %d. attempt", n+1)
				}
			})
		}
	})
	t.Run("a first request that was acknowledged and cannot be confirmed is answered with a protected 5.03", func(t *testing.T) {
		inOffice(t, func(t *testing.T, ctxs *endpoint.Contexts, do func(endpoint.Protector) (*endpoint.Response, error)) {
			c, s := oscorePair(t, "C", "S", nil)
			failed := false
			if err := ctxs.AddOSCORE(s, "a", func() error {
				if failed {
					return nil
				}
				failed = true
				time.Sleep(3 * time.Second)
				return errors.New("store is busy")
			}); err != nil {
				t.Fatal(err)
			}
			if resp, err := do(endpoint.WithOSCORE(c)); err != nil || resp.Code != codes.ServiceUnavailable {
				t.Fatalf("%+v %v", resp, err)
			}
			resp, err := do(endpoint.WithOSCORE(c))
			answered(t, resp, err, "a C ")
		})
	})
	t.Run("what waits for a copy of itself is bounded", func(t *testing.T) {
		inWorld(t, endpoint.Config{}, func(t *testing.T, w *world) {
			c, s := oscorePair(t, "C", "S", nil)
			ctxs := &endpoint.Contexts{}
			if err := ctxs.AddOSCORE(s, "a", func() error { return errors.New("store is full") }); err != nil {
				t.Fatal(err)
			}
			server := start(t, endpoint.Config{Network: w.net, Unicast: otherAddr, Openers: []endpoint.RequestOpener{ctxs}, Handler: whoami})
			for mid := range int32(1000) {
				m, _, err := c.ProtectRequest(message.Message{Code: codes.GET}, oscore.RequestOptions{})
				if err != nil {
					t.Fatal(err)
				}
				m.Type, m.MessageID = con, mid
				w.peer.send(otherAddr, encode(t, m))
				synctest.Wait()
			}
			if n := endpoint.Suspended(server); n != 256 {
				t.Fatalf("%d wait", n)
			}
		})
	})
}
