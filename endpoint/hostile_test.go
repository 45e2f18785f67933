package endpoint_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/mux"

	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/oscore"
)

func TestForgedResets(t *testing.T) {
	t.Run("who tries Message IDs in another's name does not end its observation", func(t *testing.T) {
		inWorld(t, endpoint.Config{ConfirmEvery: 100}, func(t *testing.T, w *world) {
			w.res.Handle("/o", endpoint.AcceptPlain, endpoint.Observable(mux.HandlerFunc(func(rw mux.ResponseWriter, _ *mux.Message) {
				_ = rw.SetResponse(codes.Content, message.TextPlain, nil)
			})))
			w.peer.send(serverAddr, get(t, con, 1, "o", message.Option{ID: message.Observe}))
			w.peer.nextMessage(time.Second)
			w.server.Notify("/o")
			first := w.peer.nextMessage(time.Second)
			w.peer.send(serverAddr, encode(t, message.Message{Type: message.Acknowledgement, MessageID: first.MessageID}))
			pass(10 * time.Second)
			w.server.Notify("/o")
			second := w.peer.nextMessage(time.Second)
			if second.Type != non {
				t.Fatalf("%+v", second)
			}
			for i := range int32(1000) { // all but the right one
				w.peer.send(serverAddr, encode(t, message.Message{Type: message.Reset, MessageID: (second.MessageID + 1 + i) & 0xffff}))
			}
			w.peer.send(serverAddr, encode(t, message.Message{Type: message.Reset, MessageID: second.MessageID}))
			pass(10 * time.Second)
			if w.server.Observers() != 1 {
				t.Fatal("a guess ended the observation")
			}
			// The next notification may be rejected: nothing is held against the
			// address for ever, and acknowledgements always count.
			w.server.Notify("/o")
			third := w.peer.nextMessage(time.Second)
			pass(10 * time.Second)
			w.server.Notify("/o")
			fourth := w.peer.nextMessage(time.Second)
			w.peer.send(serverAddr, encode(t, message.Message{Type: message.Reset, MessageID: fourth.MessageID}))
			synctest.Wait()
			if third.MessageID == fourth.MessageID || w.server.Observers() != 0 {
				t.Fatal("the observation did not end")
			}
		})
	})
}

func TestHopLimit(t *testing.T) {
	t.Run("a Hop-Limit of 0 or above 255 is 4.00, any other is nothing to a server", func(t *testing.T) {
		inWorld(t, endpoint.Config{}, func(t *testing.T, w *world) {
			mid := int32(0)
			for value, want := range map[string]codes.Code{"\x00": codes.BadRequest, "": codes.BadRequest, "\x01\x00": codes.BadRequest, "\x01": codes.Content, "\xff": codes.Content} {
				o := message.Option{ID: coapmsg.HopLimit, Value: []byte(value)}
				mid += 2
				w.peer.send(serverAddr, get(t, con, mid, "a", o))
				if m := w.peer.nextMessage(time.Second); m.Code != want {
					t.Fatalf("%x: %v", value, m.Code)
				}
				w.peer.send(serverAddr, w.protected(con, mid+1, "a", o))
				m := w.peer.nextMessage(time.Second)
				if want == codes.Content {
					m = w.opened(m)
				}
				if m.Code != want {
					t.Fatalf("%x: %v", value, m.Code)
				}
			}
		})
	})
}

func TestGroupHostility(t *testing.T) {
	t.Run("one member that answers without end does not keep the answers of others out", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newScene(t, endpoint.Config{Leisure: 2 * time.Second}, endpoint.GroupOptions{}, nil)
			loud := listenRaw(t, s.net, netip.MustParseAddrPort("10.0.9.9:5683"))
			ear, err := s.net.ListenGroup(groupAddr, "")
			if err != nil {
				t.Fatal(err)
			}
			defer ear.Close()
			go func() {
				buf := make([]byte, 2048)
				n, from, _, _, err := ear.ReadFrom(buf)
				if err != nil {
					return
				}
				m, err := coapmsg.ParseDatagram(buf[:n])
				if err != nil {
					panic(err)
				}
				for i := range 3000 {
					m.Type, m.Code, m.MessageID, m.Payload = non, codes.Changed, int32(i), []byte("no answer that verifies")
					loud.send(from, encode(t, m))
				}
			}()
			if got := collect(t, s.client, context.Background(), s.request("light")); len(got) != 3 {
				t.Fatalf("%d answers of 3", len(got))
			}
			if n := s.mine.Get(endpoint.DropUnverified); n != 16 {
				t.Fatalf("%d of the loud member's messages were looked at", n)
			}
			ear.Close()
			synctest.Wait()
		})
	})
}

// TestUnderAttack has an honest client ask over real sockets while others send
// all that can be sent: it is served all the time, and nothing remains.
func TestUnderAttack(t *testing.T) {
	c, s := oscorePair(t, "C", "S", nil)
	ctxs := &endpoint.Contexts{}
	if err := ctxs.AddOSCORE(s, "a", nil); err != nil {
		t.Fatal(err)
	}
	res := newResources()
	res.Handle("/o", endpoint.AcceptPlain|endpoint.AcceptOSCORE, endpoint.Observable(whoami))
	meter := &endpoint.Counters{}
	server := start(t, endpoint.Config{
		Unicast: netip.MustParseAddrPort("127.0.0.1:0"), Openers: []endpoint.RequestOpener{ctxs}, Handler: res, Meter: meter, MaxBody: 1 << 16, BlockBytes: 1 << 20,
	})
	client := start(t, endpoint.Config{Unicast: netip.MustParseAddrPort("127.0.0.1:0")})
	ask := func() (time.Duration, error) {
		began := time.Now()
		ctx, cancel := within(10 * time.Second)
		defer cancel()
		r, err := client.Do(ctx, endpoint.Request{To: server.LocalAddr(), Code: codes.GET, Path: "secret", Security: endpoint.WithOSCORE(c)})
		if err == nil && r.Code != codes.Content {
			err = fmt.Errorf("response %v", r.Code)
		}
		return time.Since(began), err
	}
	if _, err := ask(); err != nil {
		t.Fatal(err)
	}
	before := heapAndGoroutines()

	secure, _, err := c.ProtectRequest(message.Message{Code: codes.GET}, oscore.RequestOptions{})
	if err != nil {
		t.Fatal(err)
	}
	attacks := map[string]func(i int) []byte{
		"slow requests": func(i int) []byte { return get(t, con, int32(uint16(i)), "slow") },
		"tokens": func(i int) []byte {
			b := get(t, non, int32(uint16(i)), "a")
			binary.BigEndian.PutUint32(b[4:], uint32(i))
			return b
		},
		"half bodies": func(i int) []byte {
			return encode(t, message.Message{
				Type: con, Code: codes.PUT, MessageID: int32(uint16(i)), Token: []byte{1}, Payload: make([]byte, 1024),
				Options: message.Options{{ID: message.URIPath, Value: fmt.Appendf(nil, "a%d", i)}, {ID: message.Block1, Value: []byte{0x0e}}},
			})
		},
		"observations": func(i int) []byte {
			return get(t, con, int32(uint16(i)), "o", message.Option{ID: message.Observe}, message.Option{ID: message.URIQuery, Value: fmt.Append(nil, i)})
		},
		"resets": func(i int) []byte { return []byte{0x70, 0, byte(i >> 8), byte(i)} },
		"forgeries": func(i int) []byte {
			m := secure
			m.Type, m.MessageID, m.Payload = con, int32(uint16(i)), fmt.Appendf(nil, "%020d", i)
			return encode(t, m)
		},
		"long datagrams": func(i int) []byte { return append(get(t, non, int32(uint16(i)), "slow"), make([]byte, 30000)...) },
		"garbage": func(i int) []byte {
			return binary.BigEndian.AppendUint64([]byte{byte(i)}, uint64(i)*0x9e3779b97f4a7c15)
		},
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for _, make := range attacks {
		// Each from many ports, none of which listens.
		wg.Go(func() {
			var socks []*net.UDPConn
			for range 40 {
				s, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(server.LocalAddr()))
				if err != nil {
					t.Error(err)
					return
				}
				defer s.Close()
				socks = append(socks, s)
			}
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				_, _ = socks[i%len(socks)].Write(make(i))
				if i%20 == 19 {
					time.Sleep(2 * time.Millisecond) // the processors are for the honest, too
				}
			}
		})
	}
	served, worst := 0, time.Duration(0)
	for began := time.Now(); time.Since(began) < time.Second || served < 10; served++ {
		took, err := ask()
		if err != nil {
			t.Errorf("request %d under attack: %v", served, err)
			break
		}
		worst = max(worst, took)
	}
	close(stop)
	wg.Wait()
	t.Logf("%d requests served under attack, the slowest in %v", served, worst)
	close(res.release)
	for range 200 { // what waits is served
		if now := heapAndGoroutines(); now.goroutines <= before.goroutines+2 && now.heap < before.heap+24<<20 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("%+v before, %+v after the attack", before, heapAndGoroutines())
}

func heapAndGoroutines() use {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return use{runtime.NumGoroutine(), m.HeapAlloc}
}
