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

	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/grouposcore"
	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/internal/netsim"
)

func TestGroupRequest(t *testing.T) {
	t.Run("GC-3.1.4-1,GC-3.1.5-2,GC-3.1.4-4,GC-3.1.1-3 three servers answer one token by unicast, told apart by verified sender", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newScene(t, endpoint.Config{}, endpoint.GroupOptions{}, nil)
			got := collect(t, s.client, context.Background(), s.request("light"))
			if len(got) != 3 {
				t.Fatalf("%d responses", len(got))
			}
			for i := range 3 {
				id := fmt.Sprintf("s%d", i+1)
				r := got[id]
				if r == nil || r.Peer.Addr != lampAddr(i) || r.Peer.Mode != endpoint.GroupMode || r.Peer.Credential.Subject() != id ||
					string(r.Payload) != id+" c c group on" || r.Bytes == 0 || r.Received.IsZero() {
					t.Fatalf("%s: %+v", id, r)
				}
			}
		})
	})
	t.Run("GC-3.6-2,GC-3.6-1 answers are spread over the leisure", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newScene(t, endpoint.Config{Leisure: 10 * time.Second}, endpoint.GroupOptions{}, nil)
			sent := time.Now()
			ctx, cancel := within(time.Minute)
			defer cancel()
			delays := map[time.Duration]bool{}
			for range 20 {
				req := s.request("light")
				sent = time.Now()
				n := 0
				for r, err := range s.client.DoMulticast(ctx, req) {
					if err != nil {
						t.Fatal(err)
					}
					d := r.Received.Sub(sent)
					if d < 10*time.Millisecond || d > 10*time.Second+10*time.Millisecond {
						t.Fatalf("response after %v", d)
					}
					delays[d.Truncate(time.Second)] = true
					if n++; n == 3 {
						break
					}
				}
				if ctx.Err() != nil {
					break
				}
			}
			if len(delays) < 5 {
				t.Fatalf("all answers within %d seconds", len(delays))
			}
		})
	})
	t.Run("responses in pairwise mode, if the server wants so", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newScene(t, endpoint.Config{}, endpoint.GroupOptions{ResponseMode: func(endpoint.Peer) endpoint.Mode { return endpoint.PairwiseMode }}, nil)
			for _, r := range collect(t, s.client, context.Background(), s.request("light")) {
				if r.Peer.Mode != endpoint.PairwiseMode {
					t.Fatalf("%+v", r)
				}
			}
		})
	})
	t.Run("unicast in pairwise and in group mode", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newScene(t, endpoint.Config{}, endpoint.GroupOptions{}, nil)
			for mode, sec := range map[endpoint.Mode]endpoint.Protector{
				endpoint.PairwiseMode: endpoint.WithPairwise(s.group, []byte("s2")), endpoint.GroupMode: endpoint.WithGroup(s.group),
			} {
				r := s.request("light")
				r.To, r.Security = lampAddr(1), sec
				resp, err := s.client.Do(context.Background(), r)
				if err != nil || resp.Peer.Mode != mode || string(resp.Payload) != fmt.Sprintf("s2 c c %v on", mode) {
					t.Fatalf("%+v %v", resp, err)
				}
			}
		})
	})
	t.Run("GC-3.1.2-1,GC-3.1.2-3,GC-3.1.1-4 errors to a group request are suppressed, no RST either", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newScene(t, endpoint.Config{}, endpoint.GroupOptions{}, nil)
			for _, path := range []string{"nowhere", "plain"} { // 4.04, 4.03
				if got := collect(t, s.client, context.Background(), s.request(path)); len(got) != 0 {
					t.Fatalf("%+v", got)
				}
			}
			if n := s.meters[0].Get(endpoint.DropMulticastError); n != 2 {
				t.Fatal(n)
			}
		})
	})
	t.Run("cancel keeps partial results and says so, a deadline just ends, the caller may stop", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newScene(t, endpoint.Config{}, endpoint.GroupOptions{}, nil)
			ctx, cancel := context.WithCancel(context.Background())
			var last error
			n := 0
			for r, err := range s.client.DoMulticast(ctx, s.request("light")) {
				if err != nil {
					last = err
					continue
				}
				if n++; n == 2 {
					cancel()
				}
				_ = r
			}
			cancel()
			if last != context.Canceled || n < 2 {
				t.Fatalf("%d responses, %v", n, last)
			}
			ctx, cancel = within(20 * time.Millisecond)
			defer cancel()
			collect(t, s.client, ctx, s.request("light")) // no error
			for range s.client.DoMulticast(context.Background(), s.request("light")) {
				break
			}
		})
	})
	t.Run("GC-3.6-6,GC-3.6-1 one request is outstanding to a group, NSTART 1, until somebody answers", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newScene(t, endpoint.Config{}, endpoint.GroupOptions{}, nil)
			tp := record(s.net, nil)
			first := time.Now()
			go func() {
				for range s.client.DoMulticast(t.Context(), s.request("nowhere")) {
					t.Error("answered")
				}
			}()
			synctest.Wait()
			collect(t, s.client, context.Background(), s.request("light"))
			var sent []time.Duration
			for _, p := range tp.packets {
				if p.Receiver == groupAddr {
					sent = append(sent, p.at.Sub(first))
				}
			}
			// Three copies of each; the second leaves when the first has had
			// its time: leisure and 2 s.
			if last := sent[len(sent)-1]; last != 7*time.Second {
				t.Fatal(sent)
			}
		})
	})
	t.Run("GC-3.1.3-1,GC-3.1.3-2 a repeated group request is served again if its Message ID is new", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newScene(t, endpoint.Config{InsecurePlainMulticast: true}, endpoint.GroupOptions{}, nil)
			peer := listenRaw(t, s.net, otherAddr)
			answers := func(mid int32) (n int) {
				b := get(t, non, mid, "plain")
				b[7] = 1 // the same token
				peer.send(groupAddr, b)
				for peer.next(time.Minute) != nil {
					n++
				}
				return n
			}
			if a, b, c := answers(1), answers(1), answers(2); a != 3 || b != 0 || c != 3 {
				t.Fatal(a, b, c)
			}
		})
	})
	t.Run("GC-3.1.6-1 several responses of one server are taken", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n := netsim.New(netsim.Config{})
			g, err := n.ListenGroup(groupAddr, "")
			if err != nil {
				t.Fatal(err)
			}
			defer g.Close()
			server := listenRaw(t, n, serverAddr)
			client := start(t, endpoint.Config{Network: n, Unicast: clientAddr, InsecurePlainMulticast: true})
			go func() {
				b := make([]byte, 100)
				k, _, _, _, _ := g.ReadFrom(b)
				req, err := coapmsg.ParseDatagram(b[:k])
				if err != nil {
					t.Error(err)
				}
				for mid := range int32(3) {
					server.send(clientAddr, encode(t, message.Message{Type: non, MessageID: mid, Token: req.Token, Code: codes.Content}))
				}
			}()
			k := 0
			for _, err := range client.DoMulticast(context.Background(), endpoint.Request{To: groupAddr, Code: codes.GET}) {
				if err != nil {
					t.Fatal(err)
				}
				k++
			}
			if k != 3 {
				t.Fatalf("%d responses", k)
			}
		})
	})
	t.Run("GC-3.1.1-2 a CON response to a group request is taken and acknowledged", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n := netsim.New(netsim.Config{})
			g, err := n.ListenGroup(groupAddr, "")
			if err != nil {
				t.Fatal(err)
			}
			member, server := &raw{t, g}, listenRaw(t, n, serverAddr)
			t.Cleanup(func() { g.Close() })
			client := start(t, endpoint.Config{Network: n, Unicast: clientAddr, InsecurePlainMulticast: true})
			done := make(chan int)
			go func() {
				k := 0
				for r, err := range client.DoMulticast(context.Background(), endpoint.Request{To: groupAddr, Code: codes.GET}) {
					if err != nil || r.Peer.Addr != serverAddr {
						t.Error(r, err)
					}
					k++
				}
				done <- k
			}()
			b := make([]byte, 100)
			k, from, _, _, _ := member.ReadFrom(b)
			req, err := coapmsg.ParseDatagram(b[:k])
			if err != nil || req.Type != non || from != clientAddr { // GC-3.1.1-1
				t.Fatalf("%+v %v", req, err)
			}
			resp := encode(t, message.Message{Type: con, MessageID: 3, Token: req.Token, Code: codes.Content})
			for range 2 {
				server.send(clientAddr, resp)
				if ack := server.nextMessage(time.Second); ack.Type != message.Acknowledgement || ack.MessageID != 3 {
					t.Fatalf("%+v", ack)
				}
			}
			if k := <-done; k != 1 {
				t.Fatalf("%d responses", k)
			}
			server.send(clientAddr, encode(t, message.Message{Type: con, MessageID: 4, Token: req.Token, Code: codes.Content}))
			if rst := server.nextMessage(time.Second); rst.Type != message.Reset {
				t.Fatalf("after the token was freed: %+v", rst)
			}
		})
	})
}

func TestGroupRefuses(t *testing.T) {
	t.Run("O15,GC-3.1.1-1 a CON request to a group is dropped", func(t *testing.T) {
		inScene(t, func(t *testing.T, s *scene, peer *raw) {
			b := get(t, con, 1, "plain")
			peer.send(groupAddr, b)
			peer.nothing(time.Minute)
			if s.meters[0].Get(endpoint.DropMulticastCON) != 1 {
				t.Fatal("not counted")
			}
		})
	})
	t.Run("GC-4-1,GC-4-2,GC-6.1-1,GC-6.3-1 an unprotected group request is dropped unless that is allowed", func(t *testing.T) {
		for _, allowed := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t, endpoint.Config{InsecurePlainMulticast: allowed}, endpoint.GroupOptions{}, nil)
				peer := listenRaw(t, s.net, otherAddr)
				peer.send(groupAddr, get(t, non, 1, "plain"))
				n := 0
				for peer.next(time.Minute) != nil {
					n++
				}
				if n != map[bool]int{false: 0, true: 3}[allowed] {
					t.Fatalf("%d answers", n)
				}
				if !allowed {
					for _, err := range s.client.DoMulticast(context.Background(), endpoint.Request{To: groupAddr, Code: codes.GET}) {
						if err != endpoint.ErrInsecureMulticast {
							t.Fatal(err)
						}
					}
				}
			})
		}
	})
	t.Run("O15 nothing wrong with a group request is ever answered in clear", func(t *testing.T) {
		inScene(t, func(t *testing.T, s *scene, peer *raw) {
			in := message.Message{Code: codes.GET, Options: message.Options{{ID: message.URIPath, Value: []byte("light")}}}
			good, _, err := s.group.ProtectRequest(in, grouposcore.RequestOptions{Mode: grouposcore.GroupMode})
			if err != nil {
				t.Fatal(err)
			}
			good.Type, good.MessageID, good.Token = non, 1, []byte{1}
			b := encode(t, good)
			send := func(change func([]byte) []byte) {
				peer.send(groupAddr, change(bytes.Clone(b)))
				peer.nothing(time.Minute)
			}
			send(func(b []byte) []byte { b[len(b)-1] ^= 1; return b })                     // signature
			send(func(b []byte) []byte { b[bytes.Index(b, []byte{0xdd})] ^= 1; return b }) // no such group
			send(func(b []byte) []byte { b[7] |= 0x80; return b })                         // option
			send(func(b []byte) []byte { return b[:bytes.IndexByte(b, 0xff)] })            // no payload
			send(func(b []byte) []byte { return append(b[:5], 0x0f) })                     // malformed
			send(func([]byte) []byte { return []byte{0x40, 0, 0, 1} })                     // ping
			send(func([]byte) []byte { return []byte{0x49, 1, 0, 1} })                     // malformed CON
			send(func([]byte) []byte { return []byte{0x40, 0xe1, 0, 1} })                  // signalling
			send(func([]byte) []byte { return []byte{0x40, 0x45, 0, 1} })                  // response
			peer.send(groupAddr, b)
			if peer.next(time.Minute) == nil {
				t.Fatal("the real request is not served")
			}
		})
	})
	t.Run("a sender whose messages do not verify is not verified for ever, and does not silence others", func(t *testing.T) {
		inScene(t, func(t *testing.T, s *scene, peer *raw) {
			for i := range 300 {
				m, _, err := s.group.ProtectRequest(message.Message{Code: codes.GET}, grouposcore.RequestOptions{Mode: grouposcore.GroupMode})
				if err != nil {
					t.Fatal(err)
				}
				m.Type, m.MessageID = non, int32(i)
				m.Payload[0] ^= 1
				peer.send(groupAddr, encode(t, m))
				time.Sleep(time.Millisecond)
			}
			time.Sleep(5 * time.Millisecond)
			if n, failed := s.meters[0].Get(endpoint.DropBudget), s.meters[0].Get(endpoint.DropUnverified); n < 20 || n+failed != 300 {
				t.Fatal(n, failed)
			}
			time.Sleep(time.Second)
			if got := collect(t, s.client, context.Background(), s.request("light")); len(got) != 3 {
				t.Fatalf("%d responses", len(got))
			}
		})
	})
	t.Run("Config and Request refuse what groups must not be", func(t *testing.T) {
		for _, g := range []string{"224.0.1.187:5684", "224.0.1.187:0", "10.0.0.1:5683"} {
			cfg := endpoint.Config{Unicast: clientAddr, Groups: []endpoint.MulticastGroup{{Addr: netip.MustParseAddrPort(g)}}}
			if cfg.Validate() == nil {
				t.Fatal(g)
			}
		}
	})
	t.Run("GC-3.4-2 port 5684 is refused", func(t *testing.T) {
		cfg := endpoint.Config{Unicast: clientAddr, Groups: []endpoint.MulticastGroup{{Addr: netip.MustParseAddrPort("[ff02::fd%lo]:5684")}}}
		if cfg.Validate() == nil {
			t.Fatal("accepted")
		}
	})
}

func inScene(t *testing.T, f func(t *testing.T, s *scene, peer *raw)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, endpoint.Config{}, endpoint.GroupOptions{}, nil)
		f(t, s, listenRaw(t, s.net, otherAddr))
	})
}

func TestGroupEcho(t *testing.T) {
	t.Run("GC-6.4-1,GC-6.3.1-2 servers without windows challenge and are asked again in pairwise mode", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newScene(t, endpoint.Config{}, endpoint.GroupOptions{}, func(i int, p *grouposcore.Params) { p.WindowsLost = i > 0 })
			got := collect(t, s.client, context.Background(), s.request("light"))
			for i, mode := range []endpoint.Mode{endpoint.GroupMode, endpoint.PairwiseMode, endpoint.PairwiseMode} {
				id := fmt.Sprintf("s%d", i+1)
				if r := got[id]; r == nil || r.Code != codes.Changed || r.Peer.Mode != mode {
					t.Fatalf("%s: %+v", id, r)
				}
			}
			for _, r := range collect(t, s.client, context.Background(), s.request("light")) {
				if r.Peer.Mode != endpoint.GroupMode {
					t.Fatalf("challenged again: %+v", r)
				}
			}
		})
	})
	t.Run("GC-3.5.3-1 a replayed group request is dropped, from whatever address", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newScene(t, endpoint.Config{}, endpoint.GroupOptions{}, nil)
			var seen []byte
			record(s.net, func(p netsim.Packet) netsim.Verdict {
				if p.To == groupAddr {
					seen = bytes.Clone(p.Data)
				}
				return netsim.Verdict{}
			})
			if got := collect(t, s.client, context.Background(), s.request("light")); len(got) != 3 {
				t.Fatal(len(got))
			}
			peer := listenRaw(t, s.net, otherAddr)
			peer.send(groupAddr, seen)
			peer.nothing(time.Minute)
		})
	})
}
