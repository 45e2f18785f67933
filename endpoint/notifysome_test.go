package endpoint_test

import (
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/coapmsg"
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
	say := func(note endpoint.Notification, present bool) func(*observatory) {
		return func(o *observatory) {
			o.server.NotifyFunc("/gauge", func(endpoint.Peer) (endpoint.Notification, bool) { return note, present })
		}
	}
	end := func(o *observatory) {
		o.server.EndObservers(func(endpoint.Peer) bool { return true }, endpoint.Notification{Code: codes.Unauthorized})
	}
	for name, steps := range map[string][]func(*observatory){
		"a change":                  {end, func(o *observatory) { o.change("2") }},
		"a change that some see":    {end, func(o *observatory) { o.server.NotifyWhere("/gauge", func(endpoint.Peer) bool { return true }) }},
		"something given after it":  {end, say(endpoint.Notification{Code: codes.Content}, true)},
		"something given before it": {say(endpoint.Notification{Code: codes.Content}, true), end},
		"nothing given before it":   {say(endpoint.Notification{}, false), end},
		"another end": {end, func(o *observatory) {
			o.server.EndObservers(func(endpoint.Peer) bool { return true }, endpoint.Notification{Code: codes.NotFound})
		}},
	} {
		t.Run("the last word that waits is not lost to "+name, func(t *testing.T) {
			inNotices(t, open, func(t *testing.T, o *observatory, peer *raw) {
				peer.register(1)
				o.change("1")
				first := peer.nextMessage(time.Second) // is outstanding
				for _, step := range steps {
					step(o)
				}
				peer.ack(first)
				m := peer.nextMessage(time.Second)
				if m.Code != codes.Unauthorized || m.Type != con || coapmsg.Has(m.Options, message.Observe) {
					t.Fatalf("%+v", m)
				}
				peer.ack(m)
				pass(time.Second)
				if n := o.server.Observers(); n != 0 || endpoint.Pending(o.server) != 0 {
					t.Fatalf("%d observers", n)
				}
			})
		})
	}
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
