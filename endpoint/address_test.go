package endpoint_test

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/mux"

	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/grouposcore"
	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/internal/netsim"
)

// ratios watches that no answer to an address that was not validated is longer
// than three times the request before it, headers counted.
type ratios struct {
	t         *testing.T
	last      map[string]int // size of the last request, by its sender
	validated map[string]bool
	worst     float64
}

func watchRatios(t *testing.T, n *netsim.Network) *ratios {
	r := &ratios{t: t, last: map[string]int{}, validated: map[string]bool{}}
	n.SetFilter(func(p netsim.Packet) netsim.Verdict {
		m, err := coapmsg.ParseDatagram(bytes.Clone(p.Data))
		if err != nil || m.Code == 0 {
			return netsim.Verdict{}
		}
		if coapmsg.IsRequest(m.Code) {
			r.last[p.From.String()] = len(p.Data) + 28
			return netsim.Verdict{}
		}
		to := p.To.String()
		if got := float64(len(p.Data)+28) / float64(r.last[to]); got > r.worst && !r.validated[to] {
			r.worst = got
			if got > 3 {
				t.Errorf("%d bytes answered by %d", r.last[to], len(p.Data)+28)
			}
		}
		return netsim.Verdict{}
	})
	return r
}

func TestAmplification(t *testing.T) {
	t.Run("GC-6.3-2 a stranger gets no more than three times what it sent, unless it shows where it is", func(t *testing.T) {
		inLibrary(t, netsim.Config{}, endpoint.Config{}, endpoint.Config{}, func(t *testing.T, l *library) {
			r := watchRatios(t, l.net)
			peer := listenRaw(t, l.net, otherAddr)
			m := peer.ask(get(t, con, 1, "shelf"))
			echo, ok := coapmsg.Get(m.Options, coapmsg.Echo)
			if m.Code != codes.Unauthorized || !ok || len(m.Payload) != 0 || l.meter.Get(endpoint.DropUnvalidated) != 1 {
				t.Fatalf("%+v", m)
			}
			// The value of another address is of no use.
			thief := listenRaw(t, l.net, lampAddr(3))
			if m := thief.ask(get(t, con, 2, "shelf", message.Option{ID: coapmsg.Echo, Value: echo})); m.Code != codes.Unauthorized {
				t.Fatalf("%+v", m)
			}
			r.validated[otherAddr.String()] = true
			if m := peer.ask(get(t, con, 3, "shelf", message.Option{ID: coapmsg.Echo, Value: echo})); m.Code != codes.Content || len(m.Payload) != 1024 {
				t.Fatalf("%+v", m)
			}
			// From now on without.
			if m := peer.ask(get(t, con, 4, "shelf")); m.Code != codes.Content || len(m.Payload) != 1024 {
				t.Fatalf("%+v", m)
			}
			// For an hour.
			r.validated[otherAddr.String()] = false
			pass(61 * time.Minute)
			if m := peer.ask(get(t, con, 5, "shelf", message.Option{ID: coapmsg.Echo, Value: echo})); m.Code != codes.Unauthorized {
				t.Fatalf("an old value: %+v", m)
			}
			if r.worst < 1 {
				t.Fatal("nothing was measured")
			}
		})
	})
	t.Run("the shortest request draws no challenge longer than allowed", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n := netsim.New(netsim.Config{})
			m := endpoint.NewMux()
			m.Handle("/", endpoint.AcceptPlain, mux.HandlerFunc(func(w mux.ResponseWriter, _ *mux.Message) {
				_ = w.SetResponse(codes.Content, message.TextPlain, bytes.NewReader(text(400)))
			}))
			start(t, endpoint.Config{Network: n, Unicast: serverAddr, Handler: m})
			watchRatios(t, n)
			peer := listenRaw(t, n, otherAddr)
			if m := peer.ask([]byte{0x40, 1, 0, 1}); m.Code != codes.Unauthorized {
				t.Fatalf("%+v", m)
			}
		})
	})
	for _, sec := range []string{"plain", "oscore", "pairwise", "group"} {
		t.Run("Do shows its address by itself, and gets and puts long bodies: "+sec, func(t *testing.T) {
			inLibrary(t, netsim.Config{}, endpoint.Config{}, endpoint.Config{}, func(t *testing.T, l *library) {
				if resp := l.mustDo(codes.GET, "shelf", sec, nil); !bytes.Equal(resp.Payload, text(5000)) {
					t.Fatalf("%+v", resp)
				}
				if l.meter.Get(endpoint.DropUnvalidated) != 1 {
					t.Fatal("not challenged")
				}
				if resp := l.mustDo(codes.POST, "echo", sec, text(3000)); !bytes.Equal(resp.Payload[1:], text(3000)) {
					t.Fatalf("%+v", resp)
				}
				if l.meter.Get(endpoint.DropUnvalidated) != 1 {
					t.Fatal("challenged again")
				}
			})
		})
		t.Run("long answers to requests that are not safe come in small blocks, and are served once: "+sec, func(t *testing.T) {
			inLibrary(t, netsim.Config{}, endpoint.Config{}, endpoint.Config{}, func(t *testing.T, l *library) {
				watchRatios(t, l.net)
				l.handler.Handle("/much", endpoint.AcceptPlain|endpoint.AcceptOSCORE|endpoint.AcceptPairwise|endpoint.AcceptGroup,
					mux.HandlerFunc(func(w mux.ResponseWriter, _ *mux.Message) {
						l.served.Add(1)
						_ = w.SetResponse(codes.Created, message.TextPlain, bytes.NewReader(text(3000)))
					}))
				if resp := l.mustDo(codes.POST, "much", sec, []byte("x")); !bytes.Equal(resp.Payload, text(3000)) || l.served.Load() != 1 {
					t.Fatalf("%+v, served %d times", resp, l.served.Load())
				}
			})
		})
	}
	t.Run("an observation of a long representation begins with a challenge", func(t *testing.T) {
		inObservatory(t, netsim.Config{}, endpoint.Config{}, endpoint.Config{}, func(t *testing.T, o *observatory) {
			o.set(string(text(2000)))
			for _, sec := range []string{"plain", "oscore"} {
				w := o.watch(codes.GET, sec, "")
				w.want(string(text(2000)))
				w.stop()
			}
			if o.meter.Get(endpoint.DropUnvalidated) != 2 {
				t.Fatal(o.meter.Get(endpoint.DropUnvalidated))
			}
		})
	})
	t.Run("notifications to an address that is not validated are short, until one is acknowledged", func(t *testing.T) {
		inObservatory(t, netsim.Config{Delay: time.Millisecond}, endpoint.Config{}, endpoint.Config{}, func(t *testing.T, o *observatory) {
			watchRatios(t, o.net)
			peer := listenRaw(t, o.net, otherAddr)
			request := get(t, con, 1, "gauge", observeOption(0))
			peer.ask(request)
			o.change(string(text(3000)))
			m := peer.nextMessage(time.Second)
			num, more, szx := blockIn(t, m, message.Block2)
			if m.Type != con || num != 0 || !more || szx > 2 || !bytes.Equal(m.Payload, text(3000)[:16<<szx]) {
				t.Fatalf("%+v", m)
			}
			peer.ack(m)
			o.net.SetFilter(nil)
			o.change(string(text(2999)))
			if m := peer.nextMessage(5 * time.Second); len(m.Payload) != 1024 {
				t.Fatalf("%+v", m)
			}
		})
	})
	t.Run("a peer that moves is challenged at its new address", func(t *testing.T) {
		inLibrary(t, netsim.Config{}, endpoint.Config{}, endpoint.Config{}, func(t *testing.T, l *library) {
			l.mustDo(codes.GET, "shelf", "oscore", nil)
			moved := start(t, endpoint.Config{Network: l.net, Unicast: lampAddr(8)})
			resp, err := moved.Do(context.Background(), endpoint.Request{To: serverAddr, Code: codes.GET, Path: "shelf", Security: l.secs["oscore"]})
			if err != nil || len(resp.Payload) != 5000 || l.meter.Get(endpoint.DropUnvalidated) != 2 {
				t.Fatal(err, l.meter.Get(endpoint.DropUnvalidated))
			}
		})
	})
	t.Run("another limit, and none", func(t *testing.T) {
		for _, c := range []struct {
			cfg  endpoint.Config
			want uint64
		}{{endpoint.Config{Amplification: 100}, 0}, {open, 0}, {endpoint.Config{}, 1}} {
			inLibrary(t, netsim.Config{}, c.cfg, endpoint.Config{}, func(t *testing.T, l *library) {
				l.mustDo(codes.GET, "shelf", "plain", nil)
				if n := l.meter.Get(endpoint.DropUnvalidated); n != c.want {
					t.Fatal(n)
				}
			})
		}
	})
	t.Run("addresses that are remembered are bounded", func(t *testing.T) {
		inLibrary(t, netsim.Config{}, endpoint.Config{}, endpoint.Config{}, func(t *testing.T, l *library) {
			peer := listenRaw(t, l.net, otherAddr)
			echo, _ := coapmsg.Get(peer.ask(get(t, con, 1, "shelf")).Options, coapmsg.Echo)
			peer.ask(get(t, con, 2, "shelf", message.Option{ID: coapmsg.Echo, Value: echo}))
			for i := range 20000 {
				endpoint.NoteAddress(l.server, netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 9, byte(i >> 8), byte(i)}), 9))
			}
			if n := endpoint.AddressesHeld(l.server); n > 8192 {
				t.Fatal(n)
			}
		})
	})
}

func TestGroupChallenge(t *testing.T) {
	policy := endpoint.Config{ChallengeGroups: true}
	t.Run("GC-6.3.1-1,GC-6.3.1-2,GC-6.3.1-3 with ChallengeGroups a group request from an address that is not validated for its sender is challenged, once", func(t *testing.T) {
		inObservedScene(t, policy, func(t *testing.T, s *scene) {
			challenges := 0
			s.net.SetFilter(func(p netsim.Packet) netsim.Verdict {
				m, err := coapmsg.ParseDatagram(bytes.Clone(p.Data))
				if err == nil && coapmsg.IsResponse(m.Code) {
					if coapmsg.Has(m.Options, coapmsg.Echo) || !coapmsg.Has(m.Options, coapmsg.OSCORE) {
						t.Errorf("in clear: %+v", m)
					}
					challenges++
				}
				return netsim.Verdict{}
			})
			got := collect(t, s.client, context.Background(), s.request("light"))
			if len(got) != 3 || challenges != 6 {
				t.Fatalf("%d answers, %d responses", len(got), challenges)
			}
			for id, r := range got {
				if r.Code != codes.Changed || r.Peer.Mode != endpoint.PairwiseMode {
					t.Fatalf("%s: %+v", id, r)
				}
			}
			for _, m := range s.meters {
				if m.Get(endpoint.DropUnvalidated) != 1 {
					t.Fatal(m.Get(endpoint.DropUnvalidated))
				}
			}
			for _, r := range collect(t, s.client, context.Background(), s.request("light")) {
				if r.Peer.Mode != endpoint.GroupMode {
					t.Fatalf("challenged again: %+v", r)
				}
			}
			// The same member elsewhere.
			ctxs := &endpoint.Contexts{}
			ctxs.AddGroup(s.group, endpoint.GroupOptions{})
			moved := start(t, endpoint.Config{Network: s.net, Unicast: otherAddr, Openers: []endpoint.RequestOpener{ctxs}})
			for _, r := range collect(t, moved, context.Background(), s.request("light")) {
				if r.Peer.Mode != endpoint.PairwiseMode {
					t.Fatalf("not challenged: %+v", r)
				}
			}
		})
	})
	t.Run("GC-6.3.1-3 the Echo that makes a window valid validates the address too", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newScene(t, policy, endpoint.GroupOptions{}, func(i int, p *grouposcore.Params) { p.WindowsLost = true })
			if got := collect(t, s.client, context.Background(), s.request("light")); len(got) != 3 {
				t.Fatal(len(got))
			}
			for _, m := range s.meters {
				if m.Get(endpoint.DropUnvalidated) != 0 {
					t.Fatal("challenged twice")
				}
			}
			for _, r := range collect(t, s.client, context.Background(), s.request("light")) {
				if r.Peer.Mode != endpoint.GroupMode {
					t.Fatalf("challenged again: %+v", r)
				}
			}
		})
	})
	t.Run("without it, only if the answer would be long", func(t *testing.T) {
		inObservedScene(t, endpoint.Config{}, func(t *testing.T, s *scene) {
			r := s.gauge(codes.GET)
			for _, r := range collect(t, s.client, context.Background(), r) {
				if r.Peer.Mode != endpoint.GroupMode {
					t.Fatalf("%+v", r)
				}
			}
			for i, g := range s.gauges {
				g.set(string(text(900 + i)))
			}
			got := collect(t, s.client, context.Background(), r)
			for i, m := range s.meters {
				if id := fmt.Sprintf("s%d", i+1); m.Get(endpoint.DropUnvalidated) != 1 || got[id] == nil || len(got[id].Payload) != 900+i {
					t.Fatalf("%d challenges, %+v", m.Get(endpoint.DropUnvalidated), got[id])
				}
			}
		})
	})
	t.Run("GC-6.3.1-4 an unprotected group request is answered with 4.01 and an Echo option, and then by unicast", func(t *testing.T) {
		cfg := policy
		cfg.InsecurePlainMulticast = true
		inObservedScene(t, cfg, func(t *testing.T, s *scene) {
			watchRatios(t, s.net)
			peer := listenRaw(t, s.net, otherAddr)
			peer.send(groupAddr, get(t, non, 1, "plain"))
			m := peer.nextMessage(10 * time.Second)
			if m.Code != codes.Unauthorized || !coapmsg.Has(m.Options, coapmsg.Echo) {
				t.Fatalf("%+v", m)
			}
			r := s.request("plain")
			r.Security = nil
			n := 0
			for resp, err := range s.client.DoMulticast(context.Background(), r) {
				if err != nil || resp.Code != codes.Content {
					t.Fatalf("%+v %v", resp, err)
				}
				n++
			}
			if n != 3 {
				t.Fatal(n)
			}
		})
	})
}

func TestGroupBlockwise(t *testing.T) {
	big := func(t *testing.T, cfg endpoint.Config, f func(t *testing.T, s *scene)) {
		inObservedScene(t, cfg, func(t *testing.T, s *scene) {
			for i, g := range s.gauges {
				g.set(string(text(3000 + i)))
			}
			f(t, s)
		})
	}
	for _, m := range []codes.Code{codes.GET, coapmsg.FETCH} {
		t.Run(fmt.Sprintf("O13,GC-3.8-2,GC-3.8-1 servers answer with a first block, and the rest is fetched from each by unicast: method %d", m), func(t *testing.T) {
			big(t, open, func(t *testing.T, s *scene) {
				group, modes := 0, map[bool]int{}
				s.net.SetFilter(func(p netsim.Packet) netsim.Verdict {
					m, err := coapmsg.ParseDatagram(bytes.Clone(p.Data))
					if err == nil && coapmsg.IsRequest(m.Code) {
						v, _ := coapmsg.FindOSCORE(m.Options)
						opt, _ := coapmsg.ParseOSCOREOption(v)
						if p.To == groupAddr {
							group++
						} else {
							modes[opt.Group]++
						}
					}
					if err == nil && len(m.Payload) > 1024+200 {
						t.Errorf("%d bytes", len(m.Payload))
					}
					return netsim.Verdict{}
				})
				got := collect(t, s.client, context.Background(), s.gauge(m))
				for i := range 3 {
					if r := got[fmt.Sprintf("s%d", i+1)]; r == nil || !bytes.Equal(r.Payload, text(3000+i)) || coapmsg.Has(r.Options, message.Block2) {
						t.Fatalf("%+v", r)
					}
				}
				if group != 3 || modes[true] != 0 || modes[false] != 6 {
					t.Fatalf("%d group requests, %v by unicast", group, modes)
				}
			})
		})
	}
	t.Run("GC-3.8-4,GC-3.8-1 later blocks may be asked for with a group request, of the size all can do", func(t *testing.T) {
		big(t, open, func(t *testing.T, s *scene) {
			r := s.gauge(codes.GET)
			r.Options = message.Options{blockOption(message.Block2, 2, false, 4)} // bytes 512 to 767
			for id, resp := range collect(t, s.client, context.Background(), r) {
				num, more, szx := blockIn(t, message.Message{Options: resp.Options}, message.Block2)
				if !bytes.Equal(resp.Payload, text(3000)[512:768]) || num != 2 || !more || szx != 4 {
					t.Fatalf("%s: %+v", id, resp)
				}
			}
		})
	})
	t.Run("GC-3.8-3 Block1 and Q-Block2 towards a group are not sent, and ignored", func(t *testing.T) {
		cfg := open
		cfg.InsecurePlainMulticast = true
		inObservedScene(t, cfg, func(t *testing.T, s *scene) {
			r := s.request("light")
			r.Payload = text(1100)
			for _, opts := range []message.Options{nil, {blockOption(message.Block1, 0, true, 2)}} {
				r.Options = opts
				for resp, err := range s.client.DoMulticast(context.Background(), r) {
					if resp != nil || err == nil {
						t.Fatalf("%+v %v", resp, err)
					}
				}
			}
			peer := listenRaw(t, s.net, otherAddr)
			for i, o := range []message.Option{blockOption(message.Block1, 0, true, 2), blockOption(coapmsg.QBlock2, 0, false, 2)} {
				peer.send(groupAddr, get(t, non, int32(i), "plain", o))
				peer.nothing(10 * time.Second)
			}
			if s.meters[0].Get(endpoint.DropMulticastBlock) != 1 || s.meters[0].Get(endpoint.DropCriticalOption) != 1 {
				t.Fatal("not counted")
			}
		})
	})
	t.Run("a server that vanishes after its first block is left out", func(t *testing.T) {
		big(t, open, func(t *testing.T, s *scene) {
			n := 0
			s.net.SetFilter(func(p netsim.Packet) netsim.Verdict {
				if p.From == lampAddr(0) {
					n++
				}
				return netsim.Verdict{Drop: p.From == lampAddr(0) && n > 1}
			})
			ctx, cancel := within(30 * time.Second)
			defer cancel()
			if got := collect(t, s.client, ctx, s.gauge(codes.GET)); len(got) != 2 || got["s1"] != nil {
				t.Fatal(len(got))
			}
		})
	})
}
