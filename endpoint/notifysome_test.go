package endpoint_test

import (
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/netsim"
)

func TestNotifySome(t *testing.T) {
	protected := func(p endpoint.Peer) bool { return p.Mode == endpoint.OSCORE }
	delay := netsim.Config{Delay: 10 * time.Millisecond}
	t.Run("a change that only some may see notifies those", func(t *testing.T) {
		inObservatory(t, delay, open, endpoint.Config{}, func(t *testing.T, o *observatory) {
			plain, oscore := o.watch(codes.GET, "plain", ""), o.watch(codes.GET, "oscore", "")
			plain.want("0")
			oscore.want("0")
			o.set("1")
			if n := o.server.NotifyWhere("/gauge", protected); n != 1 {
				t.Fatalf("%d are told", n)
			}
			oscore.want("1")
			plain.nothing(5 * time.Second)
			if n := o.server.NotifyWhere("/elsewhere", protected); n != 0 {
				t.Fatalf("%d are told", n)
			}
		})
	})
	t.Run("the observations of some end with a last word", func(t *testing.T) {
		inObservatory(t, delay, open, endpoint.Config{}, func(t *testing.T, o *observatory) {
			plain, oscore := o.watch(codes.GET, "plain", ""), o.watch(codes.GET, "oscore", "")
			plain.want("0")
			oscore.want("0")
			if n := o.server.EndObservers(protected, endpoint.Notification{Code: codes.Unauthorized}); n != 1 {
				t.Fatalf("%d end", n)
			}
			if s := oscore.next(10 * time.Second); s.err != nil || s.resp.Code != codes.Unauthorized || s.resp.Peer.Mode != endpoint.OSCORE {
				t.Fatalf("%+v", s)
			}
			pass(time.Second)
			if n := o.server.Observers(); n != 1 {
				t.Fatalf("%d observers", n)
			}
			o.change("1")
			plain.want("1")
		})
	})
	t.Run("who is owed another last word gets that", func(t *testing.T) {
		inObservatory(t, delay, open, endpoint.Config{}, func(t *testing.T, o *observatory) {
			w := o.watch(codes.GET, "oscore", "")
			w.want("0")
			o.change("1") // is outstanding, so what follows waits
			o.server.NotifyFunc("/gauge", func(endpoint.Peer) (endpoint.Notification, bool) {
				return endpoint.Notification{Code: codes.NotFound}, true
			})
			o.server.EndObservers(protected, endpoint.Notification{Code: codes.Unauthorized})
			for {
				s := w.next(20 * time.Second)
				if s.err != nil || s.resp.Code == codes.Unauthorized {
					t.Fatalf("%+v", s)
				}
				if s.resp.Code == codes.NotFound {
					return
				}
			}
		})
	})
}
