package endpoint_test

import (
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/netsim"
)

func TestObserveVia(t *testing.T) {
	g := func(t *testing.T, f func(t *testing.T, g *gauge, server func() *endpoint.Endpoint, w func(via endpoint.Via, sec endpoint.Protector) *watcher)) {
		synctest.Test(t, func(t *testing.T) {
			n := newStreams(netsim.New(netsim.Config{Delay: time.Millisecond}))
			g := &gauge{state: "0"}
			h := endpoint.NewMux()
			h.Handle("/gauge", endpoint.AcceptPlain|endpoint.AcceptOSCORE|endpoint.AcceptDTLS, endpoint.Observable(g))
			cs, ss := oscorePair(t, "cli", "srv", nil)
			ctxs := &endpoint.Contexts{}
			if err := ctxs.AddOSCORE(ss, nil, nil); err != nil {
				t.Fatal(err)
			}
			cfg := endpoint.Config{Network: n, Unicast: serverAddr, Handler: h, Openers: []endpoint.RequestOpener{ctxs}}
			cfg.TCP.Listen = []netip.AddrPort{serverAddr}
			cfg.DTLS.Listen, cfg.DTLS.PSK = []netip.AddrPort{secureAddr}, keys
			var server *endpoint.Endpoint
			client := start(t, endpoint.Config{Network: n, Unicast: clientAddr, DTLS: as("lamp", "key of lamp")})
			f(t, g, func() *endpoint.Endpoint {
				if server != nil {
					server.Close()
				}
				server = start(t, cfg)
				return server
			}, func(via endpoint.Via, sec endpoint.Protector) *watcher {
				r := endpoint.Request{To: serverAddr, Via: via, Code: codes.GET, Path: "gauge"}
				if via == endpoint.ViaDTLS {
					r.To = secureAddr
				}
				if sec != nil {
					r.Security = endpoint.WithOSCORE(cs)
				}
				return watch(t, client, r)
			})
		})
	}
	for _, via := range []endpoint.Via{endpoint.ViaTCP, endpoint.ViaDTLS} {
		for _, protected := range []bool{false, true} {
			t.Run("notifications, long ones too, renewal and the end: "+via.String(), func(t *testing.T) {
				g(t, func(t *testing.T, g *gauge, restart func() *endpoint.Endpoint, observe func(endpoint.Via, endpoint.Protector) *watcher) {
					server := restart()
					var sec endpoint.Protector
					if protected {
						sec = endpoint.WithOSCORE(nil)
					}
					w := observe(via, sec)
					w.want("0")
					for _, s := range []string{"1", string(text(5000)), "2"} {
						g.set(s)
						server.Notify("/gauge")
						if p := w.want(s).Peer; p.Via != via || (p.Mode == endpoint.OSCORE) != protected {
							t.Fatalf("%+v", p)
						}
						pass(5 * time.Second)
					}
					for range 3 { // Max-Age is a minute
						w.next(80 * time.Second)
					}
					if server.Observers() != 1 {
						t.Fatal(server.Observers())
					}
					g.set("3")
					server.Notify("/gauge")
					w.want("3")
					w.stop()
					pass(time.Second)
					if server.Observers() != 0 {
						t.Fatal("not canceled")
					}
				})
			})
		}
	}
	t.Run("an observation whose connection ended goes on in another one", func(t *testing.T) {
		g(t, func(t *testing.T, g *gauge, restart func() *endpoint.Endpoint, observe func(endpoint.Via, endpoint.Protector) *watcher) {
			restart()
			w := observe(endpoint.ViaTCP, nil)
			w.want("0")
			g.set("1")
			server := restart()
			for {
				s := w.next(5 * time.Minute)
				if s.err != nil {
					if !errors.Is(s.err, endpoint.ErrStale) {
						t.Fatal(s.err)
					}
					continue
				}
				if string(s.resp.Payload) == "1" {
					break
				}
			}
			g.set("2")
			server.Notify("/gauge")
			w.want("2")
			if server.Observers() != 1 {
				t.Fatal(server.Observers())
			}
		})
	})
}
