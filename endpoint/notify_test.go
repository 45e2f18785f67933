package endpoint_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/internal/netsim"
)

// inNotices runs f with a server and an observer made of datagrams, that has
// registered with token 0000000<mid>.
func inNotices(t *testing.T, cfg endpoint.Config, f func(t *testing.T, o *observatory, peer *raw)) {
	t.Helper()
	inObservatory(t, netsim.Config{Delay: 10 * time.Millisecond}, cfg, endpoint.Config{}, func(t *testing.T, o *observatory) {
		f(t, o, listenRaw(t, o.net, otherAddr))
	})
}

func observeOption(v byte) message.Option {
	if v == 0 {
		return message.Option{ID: message.Observe}
	}
	return message.Option{ID: message.Observe, Value: []byte{v}}
}

// register registers and checks that it worked.
func (r *raw) register(mid int32, opts ...message.Option) message.Message {
	r.t.Helper()
	m := r.ask(get(r.t, con, mid, "gauge", append(opts, observeOption(0))...))
	if m.Code != codes.Content || !coapmsg.Has(m.Options, message.Observe) {
		r.t.Fatalf("%+v", m)
	}
	return m
}

// ack acknowledges a message.
func (r *raw) ack(m message.Message) {
	r.send(serverAddr, []byte{0x60, 0, byte(m.MessageID >> 8), byte(m.MessageID)})
}

func (r *raw) reset(m message.Message) {
	r.send(serverAddr, []byte{0x70, 0, byte(m.MessageID >> 8), byte(m.MessageID)})
}

func value(t testing.TB, m message.Message) uint32 {
	t.Helper()
	v, ok := coapmsg.Get(m.Options, message.Observe)
	n, err := coapmsg.DecodeUint(v)
	if !ok || err != nil {
		t.Fatalf("%+v", m)
	}
	return n
}

func TestNotifications(t *testing.T) {
	t.Run("GC-3.7-7,GC-6.3-3 the first notification is confirmable, then every n-th", func(t *testing.T) {
		cfg := open
		cfg.ConfirmEvery = 4
		inNotices(t, cfg, func(t *testing.T, o *observatory, peer *raw) {
			last := value(t, peer.register(1))
			types := ""
			for i := range 13 {
				o.change(fmt.Sprint(i))
				m := peer.nextMessage(time.Second)
				if string(m.Payload) != fmt.Sprint(i) || string(m.Token) != "\x00\x00\x00\x01" || value(t, m) <= last {
					t.Fatalf("%+v", m)
				}
				last = value(t, m)
				types += map[message.Type]string{con: "C", non: "N"}[m.Type]
				if m.Type == con {
					peer.ack(m)
				}
				pass(time.Second)
			}
			if types != "CNNNCNNNCNNNC" {
				t.Fatal(types)
			}
		})
	})
	t.Run("and the first after a day, if nobody changed anything", func(t *testing.T) {
		inNotices(t, open, func(t *testing.T, o *observatory, peer *raw) {
			peer.register(1)
			o.change("1")
			peer.ack(peer.nextMessage(time.Second))
			o.change("2")
			if m := peer.nextMessage(time.Second); m.Type != non {
				t.Fatalf("%+v", m)
			}
			m := peer.nextMessage(30 * time.Hour)
			if m.Type != con || string(m.Payload) != "2" {
				t.Fatalf("%+v", m)
			}
			pass(5 * time.Minute)
			if o.server.Observers() != 0 {
				t.Fatal("who does not acknowledge is gone")
			}
		})
	})
	t.Run("a confirmable notification is sent again with the same bytes, and its observer is gone if nobody acknowledges", func(t *testing.T) {
		inNotices(t, open, func(t *testing.T, o *observatory, peer *raw) {
			peer.register(1)
			o.change("1")
			first := peer.next(time.Second)
			for range 4 {
				if again := peer.next(40 * time.Second); !bytes.Equal(again, first) {
					t.Fatalf("%x, then %x", first, again)
				}
			}
			if o.server.Observers() != 1 {
				t.Fatal("gone too early")
			}
			peer.nothing(50 * time.Second)
			if o.server.Observers() != 0 || endpoint.Pending(o.server) != 0 || o.meter.Get(endpoint.DropUnacknowledged) != 1 {
				t.Fatal(o.server.Observers(), endpoint.Pending(o.server))
			}
		})
	})
	t.Run("one is outstanding; when it is sent again the newest state takes its place", func(t *testing.T) {
		inNotices(t, open, func(t *testing.T, o *observatory, peer *raw) {
			peer.register(1)
			o.change("1")
			first := peer.nextMessage(time.Second)
			began := time.Now()
			o.change("2")
			o.change("3")
			again := peer.nextMessage(10 * time.Second)
			wait := time.Since(began)
			if string(again.Payload) != "3" || again.MessageID == first.MessageID || again.Type != con || wait < 2*time.Second || wait > 3*time.Second {
				t.Fatalf("%v: %+v", wait, again)
			}
			peer.ack(first) // too late: means nothing
			last := peer.nextMessage(10 * time.Second)
			if string(last.Payload) != "3" || time.Since(began)-wait < 4*time.Second {
				t.Fatalf("the timeout does not go on: %+v", last)
			}
			peer.ack(last)
			peer.nothing(60 * time.Second)
			if o.server.Observers() != 1 || endpoint.Pending(o.server) != 0 {
				t.Fatal(o.server.Observers(), endpoint.Pending(o.server))
			}
			o.change("4")
			if m := peer.nextMessage(time.Second); string(m.Payload) != "4" || m.Type != non {
				t.Fatalf("%+v", m)
			}
		})
	})
	t.Run("one client has at most NSTART notifications outstanding", func(t *testing.T) {
		inNotices(t, open, func(t *testing.T, o *observatory, peer *raw) {
			for i := range 5 {
				peer.register(int32(i))
			}
			o.change("1")
			for i := range 5 {
				m := peer.nextMessage(time.Second)
				peer.nothing(time.Second)
				if i == 4 {
					peer.reset(m)
				} else {
					peer.ack(m)
				}
			}
			pass(time.Second)
			if o.server.Observers() != 4 {
				t.Fatal(o.server.Observers())
			}
		})
	})
	t.Run("a Reset ends the observation, of a NON too", func(t *testing.T) {
		inNotices(t, open, func(t *testing.T, o *observatory, peer *raw) {
			peer.register(1)
			o.change("1")
			peer.ack(peer.nextMessage(time.Second))
			o.change("2")
			m := peer.nextMessage(time.Second)
			if m.Type != non {
				t.Fatalf("%+v", m)
			}
			peer.reset(m)
			pass(time.Second)
			if o.server.Observers() != 0 || o.server.Notify("/gauge") != 0 {
				t.Fatal("still there")
			}
		})
	})
	t.Run("NON notifications keep a round trip apart, or 3 s if that is not known", func(t *testing.T) {
		cfg := open
		inNotices(t, cfg, func(t *testing.T, o *observatory, peer *raw) {
			peer.register(1)
			o.change("1")
			m := peer.nextMessage(time.Second)
			pass(980 * time.Millisecond)
			peer.ack(m) // a round trip of a second
			pass(20 * time.Millisecond)
			o.change("2")
			peer.nextMessage(time.Second)
			o.change("3")
			began := time.Now()
			peer.nextMessage(5 * time.Second)
			if d := time.Since(began); d < 900*time.Millisecond || d > 1100*time.Millisecond {
				t.Fatal(d)
			}
		})
	})
	t.Run("OS-4.1.3.5-6 neither garbage, nor other requests with the token, nor another source port touch an observation", func(t *testing.T) {
		inNotices(t, open, func(t *testing.T, o *observatory, peer *raw) {
			peer.register(1)
			for _, b := range [][]byte{{}, {0xff}, {0x41}, {0x49, 1, 0, 9}, {0x40, 1, 0, 9, 0xff}, {0x70, 0, 0xab, 0xcd}, {0x60, 0, 0xab, 0xcd}, {0x40, 0xe1, 0, 9}} {
				peer.send(serverAddr, b)
			}
			pass(time.Second)
			for peer.next(time.Second) != nil {
			}
			same := func(opts ...message.Option) []byte {
				b := get(t, con, 77, "gauge", opts...)
				copy(b[4:8], "\x00\x00\x00\x01")
				return b
			}
			peer.ask(same())
			other := listenRaw(t, o.net, lampAddr(5))
			other.ask(same(observeOption(1)))
			peer.ask(same(observeOption(1), message.Option{ID: message.URIQuery, Value: []byte("q")})) // cancels something else
			o.change("1")
			if m := peer.nextMessage(time.Second); string(m.Payload) != "1" {
				t.Fatalf("%+v", m)
			}
		})
	})
	t.Run("a client that has the address later does not inherit observations, and rejects them away", func(t *testing.T) {
		inObservatory(t, netsim.Config{Delay: time.Millisecond}, open, endpoint.Config{}, func(t *testing.T, o *observatory) {
			w := o.watch(codes.GET, "oscore", "")
			w.want("0")
			o.net.SetFilter(func(p netsim.Packet) netsim.Verdict { return netsim.Verdict{Drop: p.From == clientAddr} })
			o.client.Close()
			o.net.SetFilter(nil)
			heir := start(t, endpoint.Config{Network: o.net, Unicast: clientAddr})
			if _, err := heir.Do(context.Background(), endpoint.Request{To: serverAddr, Code: codes.GET, Path: "gauge", Security: o.secs["pairwise"]}); err != nil {
				t.Fatal(err)
			}
			if o.server.Observers() != 1 {
				t.Fatal(o.server.Observers())
			}
			o.change("1")
			pass(time.Second)
			if o.server.Observers() != 0 {
				t.Fatal("not rejected")
			}
		})
	})
	t.Run("a registration with a token in use replaces the first one", func(t *testing.T) {
		inNotices(t, open, func(t *testing.T, o *observatory, peer *raw) {
			peer.register(1)
			b := get(t, con, 2, "gauge", observeOption(0), message.Option{ID: message.URIQuery, Value: []byte("q")})
			copy(b[4:8], "\x00\x00\x00\x01")
			peer.ask(b)
			if o.server.Observers() != 1 {
				t.Fatal(o.server.Observers())
			}
			o.change("1")
			peer.ack(peer.nextMessage(time.Second))
			peer.nothing(10 * time.Second)
		})
	})
	t.Run("a registration that is refused ends the one it was to renew", func(t *testing.T) {
		inNotices(t, open, func(t *testing.T, o *observatory, peer *raw) {
			peer.register(1)
			o.gauge.mu.Lock()
			o.code = codes.Forbidden
			o.gauge.mu.Unlock()
			b := get(t, con, 2, "gauge", observeOption(0))
			copy(b[4:8], "\x00\x00\x00\x01")
			peer.ask(b)
			if o.server.Observers() != 0 {
				t.Fatal(o.server.Observers())
			}
		})
	})
	t.Run("observers are bounded, in all and for one peer, and strangers have an eighth", func(t *testing.T) {
		cfg := open
		cfg.Observations, cfg.ObservationsPerPeer = 80, 4
		inNotices(t, cfg, func(t *testing.T, o *observatory, peer *raw) {
			accepted := func(r *raw, mid int32) bool {
				return coapmsg.Has(r.ask(get(t, con, mid, "gauge", observeOption(0))).Options, message.Observe)
			}
			for i := range 6 {
				if accepted(peer, int32(i)) != (i < 4) {
					t.Fatalf("registration %d of one peer", i)
				}
			}
			n := 4
			for i := range 20 {
				if accepted(listenRaw(t, o.net, lampAddr(i)), 1) {
					n++
				}
			}
			if n != 10 || o.server.Observers() != 10 || o.meter.Get(endpoint.DropObserver) == 0 {
				t.Fatalf("%d strangers", n)
			}
			w := o.watch(codes.GET, "oscore", "")
			w.want("0")
			if o.server.Observers() != 11 {
				t.Fatal("no room for who is known")
			}
		})
	})
	t.Run("observations of a security context that is no more are forgotten", func(t *testing.T) {
		inNotices(t, open, func(t *testing.T, o *observatory, peer *raw) {
			peer.register(1)
			w := o.watch(codes.GET, "oscore", "")
			w.want("0")
			if n := o.server.ForgetObservers(func(p endpoint.Peer) bool { return p.Mode == endpoint.OSCORE }); n != 1 || o.server.Observers() != 1 {
				t.Fatal(n)
			}
			o.change("1")
			if m := peer.nextMessage(time.Second); string(m.Payload) != "1" {
				t.Fatalf("%+v", m)
			}
			w.nothing(10 * time.Second)
		})
	})
	t.Run("no change is lost between the answer and the registration", func(t *testing.T) {
		inNotices(t, open, func(t *testing.T, o *observatory, peer *raw) {
			o.opts = nil
			done := make(chan struct{})
			go func() {
				defer close(done)
				for i := range 200 {
					o.change(fmt.Sprint(i + 1))
				}
			}()
			m := peer.register(1)
			<-done
			for string(m.Payload) != "200" {
				if m = peer.nextMessage(time.Minute); m.Type == con {
					peer.ack(m)
				}
			}
		})
	})
	t.Run("GC-3.2.2.1-1,GC-3.2.2.1-3 an ETag the client names makes the answer 2.03", func(t *testing.T) {
		inNotices(t, open, func(t *testing.T, o *observatory, peer *raw) {
			tag := message.Option{ID: message.ETag, Value: []byte("v1")}
			o.opts = []message.Option{tag}
			for i, c := range []struct {
				tag  string
				code codes.Code
			}{{"v1", codes.Valid}, {"v0", codes.Content}} {
				m := peer.ask(get(t, con, int32(i), "gauge", message.Option{ID: message.ETag, Value: []byte(c.tag)}))
				if m.Code != c.code || (c.code == codes.Valid) != (len(m.Payload) == 0) || !coapmsg.Has(m.Options, message.ETag) {
					t.Fatalf("%+v", m)
				}
			}
		})
	})
}

func TestNotificationsAreProtectedOnce(t *testing.T) {
	t.Run("OS-8.3.1-1,OS-4.1.3.5.2-1 each notification has a Partial IV of its own, and its retransmissions the same bytes", func(t *testing.T) {
		inObservatory(t, netsim.Config{Delay: time.Millisecond}, open, endpoint.Config{}, func(t *testing.T, o *observatory) {
			w := o.watch(codes.GET, "oscore", "")
			w.want("0")
			byPIV := map[string][]byte{}
			sent := 0
			o.net.SetFilter(func(p netsim.Packet) netsim.Verdict {
				m, err := coapmsg.ParseDatagram(bytes.Clone(p.Data))
				if err != nil || p.To != clientAddr || m.Code == 0 {
					return netsim.Verdict{}
				}
				v, _ := coapmsg.FindOSCORE(m.Options)
				opt, err := coapmsg.ParseOSCOREOption(v)
				if err != nil || opt.PIV == nil {
					t.Errorf("%+v", m)
				}
				if old := byPIV[string(opt.PIV)]; old != nil && !bytes.Equal(old, p.Data) {
					t.Errorf("partial iv %x with %x and %x", opt.PIV, old, p.Data)
				}
				byPIV[string(opt.PIV)] = bytes.Clone(p.Data)
				sent++
				return netsim.Verdict{Drop: sent%3 != 0}
			})
			for i := range 10 {
				o.change(fmt.Sprint(i))
				pass(20 * time.Second)
			}
			if len(byPIV) < 8 || sent < 12 {
				t.Fatalf("%d notifications in %d datagrams", len(byPIV), sent)
			}
		})
	})
}
