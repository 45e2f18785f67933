package endpoint_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/internal/netsim"
)

// world is one server with all kinds of resources and a peer made of datagrams.
type world struct {
	t      *testing.T
	net    *netsim.Network
	res    *resources
	sec    *toy // of the server
	mine   *toy // of the peer
	meter  *endpoint.Counters
	server *endpoint.Endpoint
	peer   *raw
}

// inWorld runs f under fake time.
func inWorld(t *testing.T, cfg endpoint.Config, f func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, net: netsim.New(netsim.Config{}), res: newResources(), sec: &toy{id: 1}, mine: &toy{id: 2}, meter: &endpoint.Counters{}}
		cfg.Network, cfg.Unicast, cfg.Handler, cfg.Meter = w.net, serverAddr, w.res, w.meter
		cfg.Openers = []endpoint.RequestOpener{w.sec}
		w.server = start(t, cfg)
		w.peer = listenRaw(t, w.net, clientAddr)
		f(t, w)
	})
}

// protected makes a protected request datagram.
func (w *world) protected(typ message.Type, mid int32, path string, opts ...message.Option) []byte {
	w.t.Helper()
	m, err := coapmsg.ParseDatagram(get(w.t, typ, mid, path, opts...))
	if err != nil {
		w.t.Fatal(err)
	}
	p, err := w.mine.protect(m, codes.POST)
	if err != nil {
		w.t.Fatal(err)
	}
	p.Token, p.Type, p.MessageID = m.Token, typ, mid
	return encode(w.t, p)
}

// opened decrypts a response.
func (w *world) opened(m message.Message) message.Message {
	w.t.Helper()
	in, _, err := w.mine.OpenResponse(m, time.Now())
	if err != nil {
		w.t.Fatalf("%+v: %v", m, err)
	}
	return in
}

func (w *world) dropped(r endpoint.Reason, want uint64) {
	w.t.Helper()
	synctest.Wait()
	if n := w.meter.Get(r); n != want {
		w.t.Fatalf("%d drops for %v, want %d", n, r, want)
	}
}

const (
	con = message.Confirmable
	non = message.NonConfirmable
)

func TestServerMessages(t *testing.T) {
	t.Run("ping is answered with RST", func(t *testing.T) {
		inWorld(t, endpoint.Config{}, func(t *testing.T, w *world) {
			w.peer.send(serverAddr, []byte{0x40, 0, 1, 2})
			if b := w.peer.next(time.Second); !bytes.Equal(b, []byte{0x70, 0, 1, 2}) {
				t.Fatalf("%x", b)
			}
		})
	})
	t.Run("O4 response to NON is NON with another Message ID, to CON it is in the ACK", func(t *testing.T) {
		inWorld(t, endpoint.Config{}, func(t *testing.T, w *world) {
			for _, make := range []func(message.Type, int32) []byte{
				func(typ message.Type, mid int32) []byte { return get(t, typ, mid, "a") },
				func(typ message.Type, mid int32) []byte { return w.protected(typ, mid, "a") },
			} {
				w.peer.send(serverAddr, make(non, 7))
				if m := w.peer.nextMessage(time.Second); m.Type != non || !bytes.Equal(m.Token, []byte{0, 0, 0, 7}) {
					t.Fatalf("%+v", m)
				}
				w.peer.send(serverAddr, make(con, 8))
				if m := w.peer.nextMessage(time.Second); m.Type != message.Acknowledgement || m.MessageID != 8 || m.Token[3] != 8 {
					t.Fatalf("%+v", m)
				}
			}
		})
	})
	t.Run("O5 copies of a NON are not served and not answered", func(t *testing.T) {
		inWorld(t, endpoint.Config{}, func(t *testing.T, w *world) {
			for _, b := range [][]byte{get(t, non, 1, "a"), w.protected(non, 2, "a")} {
				w.peer.send(serverAddr, b)
				w.peer.nextMessage(time.Second)
				w.peer.send(serverAddr, b)
				w.peer.nothing(time.Second)
			}
			w.dropped(endpoint.DropDuplicate, 2)
			if w.res.runs.Load() != 2 {
				t.Fatal(w.res.runs.Load())
			}
		})
	})
	t.Run("copies of a CON get the same bytes for 247 s, nobody is served twice", func(t *testing.T) {
		inWorld(t, endpoint.Config{}, func(t *testing.T, w *world) {
			b := w.protected(con, 1, "a")
			w.peer.send(serverAddr, b)
			first := w.peer.next(time.Second)
			for range 4 {
				time.Sleep(60 * time.Second)
				w.peer.send(serverAddr, b)
				if again := w.peer.next(time.Second); !bytes.Equal(again, first) {
					t.Fatalf("%x, first %x", again, first)
				}
			}
			if w.res.runs.Load() != 1 || w.sec.seq.Load() != 1 || w.sec.opened.Load() != 1 {
				t.Fatal("served or protected again")
			}
		})
	})
	t.Run("O7 a request with a used Message ID but other bytes is served", func(t *testing.T) {
		inWorld(t, endpoint.Config{}, func(t *testing.T, w *world) {
			w.peer.send(serverAddr, w.protected(con, 1, "a"))
			w.peer.next(time.Second)
			w.peer.send(serverAddr, w.protected(con, 1, "a"))
			w.peer.next(time.Second)
			if w.res.runs.Load() != 2 {
				t.Fatal(w.res.runs.Load())
			}
		})
	})
	t.Run("O6 answers to NON do not come back for later Message IDs", func(t *testing.T) {
		inWorld(t, endpoint.Config{}, func(t *testing.T, w *world) {
			w.peer.send(serverAddr, get(t, non, 1, "a"))
			used := w.peer.nextMessage(time.Second).MessageID
			w.peer.send(serverAddr, get(t, non, used, "a"))
			if m := w.peer.nextMessage(time.Second); string(m.Payload) != "2:1:" {
				t.Fatalf("%q", m.Payload)
			}
		})
	})
	t.Run("errors are not cached", func(t *testing.T) {
		inWorld(t, endpoint.Config{}, func(t *testing.T, w *world) {
			for range 2 {
				w.peer.send(serverAddr, get(t, con, 1, "nowhere"))
				if m := w.peer.nextMessage(time.Second); m.Code != codes.NotFound {
					t.Fatal(m.Code)
				}
			}
			w.dropped(endpoint.DropDuplicate, 0)
		})
	})
	t.Run("a slow CON gets an empty ACK and then a separate CON response until it is acknowledged", func(t *testing.T) {
		inWorld(t, endpoint.Config{}, func(t *testing.T, w *world) {
			b := get(t, con, 5, "slow")
			w.peer.send(serverAddr, b)
			sent := time.Now()
			ack := w.peer.nextMessage(time.Second)
			if ack.Type != message.Acknowledgement || ack.Code != codes.Empty || ack.MessageID != 5 || time.Since(sent) != 500*time.Millisecond {
				t.Fatalf("%+v after %v", ack, time.Since(sent))
			}
			w.peer.send(serverAddr, b) // in work: the same ACK, at once
			if again := w.peer.nextMessage(time.Millisecond); again.Type != message.Acknowledgement || again.MessageID != 5 {
				t.Fatalf("%+v", again)
			}
			close(w.res.release)
			var first []byte
			for i := range 3 {
				r := w.peer.next(10 * time.Second)
				if i == 0 {
					first = r
				}
				if !bytes.Equal(r, first) {
					t.Fatal("retransmission differs")
				}
			}
			m, _ := coapmsg.ParseDatagram(first)
			if m.Type != con || m.MessageID == 5 || m.Token[3] != 5 || string(m.Payload) != "slow" {
				t.Fatalf("%+v", m)
			}
			w.peer.send(serverAddr, encode(t, message.Message{Type: message.Acknowledgement, MessageID: m.MessageID}))
			w.peer.nothing(100 * time.Second)
			w.peer.send(serverAddr, b) // served: the empty ACK
			if again := w.peer.nextMessage(time.Second); again.Code != codes.Empty || again.MessageID != 5 {
				t.Fatalf("%+v", again)
			}
			if w.res.runs.Load() != 1 {
				t.Fatal("served twice")
			}
		})
	})
	t.Run("an unacknowledged response is given up, a rejected one at once", func(t *testing.T) {
		for _, reset := range []bool{false, true} {
			inWorld(t, endpoint.Config{}, func(t *testing.T, w *world) {
				w.peer.send(serverAddr, get(t, con, 5, "slow"))
				w.peer.next(time.Second)
				close(w.res.release)
				m := w.peer.nextMessage(time.Second)
				want := 4
				if reset {
					w.peer.send(serverAddr, encode(t, message.Message{Type: message.Reset, MessageID: m.MessageID}))
					want = 0
				}
				n := 0
				for w.peer.next(100*time.Second) != nil {
					n++
				}
				if n != want {
					t.Fatalf("%d retransmissions", n)
				}
				w.dropped(endpoint.DropUnacknowledged, uint64(want/4))
			})
		}
	})
	t.Run("a slow NON gets no ACK", func(t *testing.T) {
		inWorld(t, endpoint.Config{}, func(t *testing.T, w *world) {
			w.peer.send(serverAddr, get(t, non, 5, "slow"))
			w.peer.nothing(5 * time.Second)
			close(w.res.release)
			if m := w.peer.nextMessage(time.Second); m.Type != non {
				t.Fatalf("%+v", m)
			}
		})
	})
	t.Run("a handler without a response: CON is acknowledged, NON gets nothing, a panic is 5.00", func(t *testing.T) {
		inWorld(t, endpoint.Config{}, func(t *testing.T, w *world) {
			w.peer.send(serverAddr, get(t, con, 1, "silent"))
			if m := w.peer.nextMessage(time.Second); m.Code != codes.Empty || m.MessageID != 1 || m.Type != message.Acknowledgement {
				t.Fatalf("%+v", m)
			}
			w.peer.send(serverAddr, get(t, non, 2, "silent"))
			w.peer.nothing(time.Second)
			w.peer.send(serverAddr, get(t, con, 3, "panic"))
			if m := w.peer.nextMessage(time.Second); m.Code != codes.InternalServerError {
				t.Fatalf("%+v", m)
			}
		})
	})
	t.Run("No-Response suppresses the classes named and no others", func(t *testing.T) {
		inWorld(t, endpoint.Config{}, func(t *testing.T, w *world) {
			for i, c := range []struct {
				value  byte
				path   string
				answer bool
			}{{2, "a", false}, {8, "a", true}, {16, "a", true}, {26, "a", false}, {2, "nowhere", true}, {8, "nowhere", false}, {0, "a", true}, {16, "panic", false}} {
				opt := message.Option{ID: coapmsg.NoResponse, Value: coapmsg.EncodeUint(uint32(c.value))}
				w.peer.send(serverAddr, w.protected(non, int32(i), c.path, opt))
				if got := w.peer.next(time.Second) != nil; got != c.answer {
					t.Fatalf("%+v: answered %v", c, got)
				}
			}
			w.peer.send(serverAddr, get(t, con, 100, "a", message.Option{ID: coapmsg.NoResponse, Value: []byte{26}}))
			if m := w.peer.nextMessage(time.Second); m.Code != codes.Empty || m.MessageID != 100 {
				t.Fatalf("%+v", m)
			}
		})
	})
}

func TestServerRefuses(t *testing.T) {
	t.Run("O1 the OSCORE option is known, O2 an unknown critical option is 4.02 for every CON method and silence for NON", func(t *testing.T) {
		inWorld(t, endpoint.Config{}, func(t *testing.T, w *world) {
			for code := codes.Code(1); code <= 7; code++ {
				for _, typ := range []message.Type{con, non} {
					w.peer.send(serverAddr, encode(t, message.Message{Type: typ, MessageID: int32(code), Code: code, Options: message.Options{{ID: message.URIPath, Value: []byte("a")}, {ID: 9999}}}))
					if typ == non {
						w.peer.nothing(time.Second)
					} else if m := w.peer.nextMessage(time.Second); m.Code != codes.BadOption {
						t.Fatalf("%+v", m)
					}
				}
			}
			if w.res.runs.Load() != 0 {
				t.Fatal("served")
			}
			w.dropped(endpoint.DropCriticalOption, 14)
			w.peer.send(serverAddr, w.protected(con, 50, "a"))
			if m := w.opened(w.peer.nextMessage(time.Second)); m.Code != codes.Content {
				t.Fatalf("%+v", m)
			}
		})
	})
	t.Run("OS-8.3-1 an unknown critical Inner option is a protected 4.02, for NON silence", func(t *testing.T) {
		inWorld(t, endpoint.Config{}, func(t *testing.T, w *world) {
			w.peer.send(serverAddr, w.protected(con, 1, "a", message.Option{ID: 9999}))
			if m := w.opened(w.peer.nextMessage(time.Second)); m.Code != codes.BadOption {
				t.Fatalf("%+v", m)
			}
			w.peer.send(serverAddr, w.protected(non, 2, "a", message.Option{ID: 9999}))
			w.peer.nothing(time.Second)
			if w.res.runs.Load() != 0 {
				t.Fatal("served")
			}
		})
	})
	t.Run("O3 an If-Match of illegal length does not make the request unconditional", func(t *testing.T) {
		inWorld(t, endpoint.Config{}, func(t *testing.T, w *world) {
			bad := message.Option{ID: message.IfMatch, Value: make([]byte, 9)}
			w.peer.send(serverAddr, get(t, con, 1, "a", bad))
			if m := w.peer.nextMessage(time.Second); m.Code != codes.BadOption {
				t.Fatalf("%+v", m)
			}
			w.peer.send(serverAddr, w.protected(con, 2, "a", bad))
			if m := w.opened(w.peer.nextMessage(time.Second)); m.Code != codes.BadOption {
				t.Fatalf("%+v", m)
			}
			if w.res.runs.Load() != 0 {
				t.Fatal("served")
			}
		})
	})
	t.Run("block-wise and proxying are refused, not misread", func(t *testing.T) {
		inWorld(t, endpoint.Config{}, func(t *testing.T, w *world) {
			for i, c := range []struct {
				opt  message.Option
				code codes.Code
			}{
				{message.Option{ID: message.Block1, Value: []byte{8}}, codes.BadOption},
				{message.Option{ID: message.Block2, Value: []byte{1}}, codes.BadOption},
				{message.Option{ID: message.ProxyScheme, Value: []byte("coap")}, codes.ProxyingNotSupported},
				{message.Option{ID: message.ProxyURI, Value: []byte("coap://h/a")}, codes.ProxyingNotSupported},
			} {
				w.peer.send(serverAddr, get(t, con, int32(i), "a", c.opt))
				if m := w.peer.nextMessage(time.Second); m.Code != c.code {
					t.Fatalf("%v: %v", c.opt.ID, m.Code)
				}
			}
		})
	})
	t.Run("O10 malformed datagrams are rejected with at most an RST and harm nobody", func(t *testing.T) {
		inWorld(t, endpoint.Config{}, func(t *testing.T, w *world) {
			rst := []byte{0x70, 0, 0, 9}
			for _, c := range []struct{ in, out []byte }{
				{[]byte{}, nil},
				{[]byte{0x40}, nil},
				{[]byte{0x40, 1, 0}, nil},
				{[]byte{0x80, 1, 0, 9}, nil},       // version 2
				{[]byte{0xc0, 0, 0, 9}, nil},       // version 3
				{[]byte{0x49, 1, 0, 9}, rst},       // token length 9
				{[]byte{0x44, 1, 0, 9, 1}, rst},    // token cut off
				{[]byte{0x40, 1, 0, 9, 0xf0}, rst}, // option delta 15
				{[]byte{0x40, 1, 0, 9, 0x0f}, rst}, // option length 15
				{[]byte{0x40, 1, 0, 9, 0xff}, rst}, // marker without payload
				{[]byte{0x50, 1, 0, 9, 0xff}, nil}, // NON
				{[]byte{0x40, 0, 0, 9, 1}, rst},    // empty with content
				{[]byte{0x40, 0x3f, 0, 9}, rst},    // class 1
				{[]byte{0x40, 0xe1, 0, 9}, rst},    // O14: 7.01 of TCP
				{[]byte{0x50, 0xe1, 0, 9}, nil},    // the same in a NON
				{[]byte{0x60, 1, 0, 9}, nil},       // request in an ACK
				{[]byte{0x70, 1, 0, 9}, nil},       // request in an RST
				{[]byte{0x60, 0x45, 0, 9}, nil},    // response nobody asked for
				{[]byte{0x70, 0x45, 0, 9}, nil},    // response in an RST
				{[]byte{0x60, 0, 0, 9}, nil},       // stray ACK
				{[]byte{0x70, 0, 0, 9}, nil},       // stray RST
				{[]byte{0x50, 0, 0, 9}, nil},       // empty NON
				{[]byte{0x50, 0x45, 0, 9, 1}, nil}, // O14: unsolicited 2.05
				{[]byte{0x40, 0x45, 0, 9}, rst},    // the same in a CON
			} {
				w.peer.send(serverAddr, c.in)
				if got := w.peer.next(time.Second); !bytes.Equal(got, c.out) {
					t.Fatalf("%x is answered with %x", c.in, got)
				}
			}
			w.peer.send(serverAddr, get(t, con, 1, "a"))
			if m := w.peer.nextMessage(time.Second); m.Code != codes.Content {
				t.Fatal("no longer served")
			}
		})
	})
	// The errors of OSCORE processing, in clear.
	for name, c := range map[string]struct {
		change func([]byte) []byte
		code   codes.Code
		text   string
	}{
		"OS-8.2-4,OS-8.2-3 an OSCORE option that cannot be decoded is 4.02 with Max-Age 0": {
			func(b []byte) []byte { b[9] |= 0x80; return b }, codes.BadOption, "Failed to decode COSE"},
		"OS-8.2-6,OS-8.2-5 no context is 4.01 with Max-Age 0": {
			func(b []byte) []byte { b[11] = 0xff; return b }, codes.Unauthorized, "Security context not found"},
		"OS-8.2-8,OS-8.2-10 what does not decrypt is 4.00 with Max-Age 0 and without OSCORE option": {
			func(b []byte) []byte { b[len(b)-1] ^= 1; return b }, codes.BadRequest, "Decryption failed"},
		"a protected message without payload is 4.02": {
			func(b []byte) []byte { return b[:bytes.IndexByte(b, 0xff)] }, codes.BadOption, "Failed to decode COSE"},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, endpoint.Config{}, func(t *testing.T, w *world) {
				for _, typ := range []message.Type{con, non} {
					b := c.change(w.protected(typ, 1, "a"))
					w.peer.send(serverAddr, b)
					m := w.peer.nextMessage(time.Second)
					age, ok := coapmsg.Get(m.Options, message.MaxAge)
					if m.Code != c.code || string(m.Payload) != c.text || !ok || len(age) != 0 || len(m.Options) != 1 {
						t.Fatalf("%+v", m)
					}
				}
				if w.res.runs.Load() != 0 {
					t.Fatal("served")
				}
			})
		})
	}
	t.Run("GC-6.3-2 an error in clear is not much longer than the request", func(t *testing.T) {
		inWorld(t, endpoint.Config{}, func(t *testing.T, w *world) {
			b := w.protected(con, 1, "a")
			b[11] = 0xff
			w.peer.send(serverAddr, b)
			if r := w.peer.next(time.Second); len(r) > len(b)+16 {
				t.Fatalf("%d bytes for %d", len(r), len(b))
			}
		})
	})
	t.Run("a protected resource does not answer in clear, a plain one not by accident", func(t *testing.T) {
		inWorld(t, endpoint.Config{}, func(t *testing.T, w *world) {
			w.peer.send(serverAddr, get(t, con, 1, "secret"))
			if m := w.peer.nextMessage(time.Second); m.Code != codes.Unauthorized {
				t.Fatal(m.Code)
			}
			w.peer.send(serverAddr, w.protected(con, 2, "secret"))
			if m := w.opened(w.peer.nextMessage(time.Second)); string(m.Payload) != "02 toy" {
				t.Fatalf("%q", m.Payload)
			}
		})
	})
}

func TestManyPeers(t *testing.T) {
	t.Run("O9 one peer with slow requests does not keep others from being served", func(t *testing.T) {
		inWorld(t, endpoint.Config{Workers: 8, PerPeer: 4}, func(t *testing.T, w *world) {
			for i := range int32(40) {
				w.peer.send(serverAddr, get(t, non, i, "slow"))
			}
			w.dropped(endpoint.DropPeerBusy, 36)
			other := listenRaw(t, w.net, otherAddr)
			other.send(serverAddr, get(t, con, 1, "a"))
			if m := other.nextMessage(time.Millisecond); m.Code != codes.Content {
				t.Fatal(m.Code)
			}
		})
	})
	t.Run("O9 with all workers busy and the queue full the read loop goes on", func(t *testing.T) {
		inWorld(t, endpoint.Config{Workers: 2, Queue: 3, PerPeer: 100}, func(t *testing.T, w *world) {
			for i := range int32(2) {
				w.peer.send(serverAddr, get(t, non, i, "slow"))
			}
			synctest.Wait()
			for i := range int32(10) {
				w.peer.send(serverAddr, get(t, non, 10+i, "slow"))
			}
			w.dropped(endpoint.DropQueueFull, 7)
			w.peer.send(serverAddr, []byte{0x40, 0, 1, 2})
			if b := w.peer.next(time.Millisecond); b == nil {
				t.Fatal("ping not answered")
			}
			close(w.res.release)
			synctest.Wait()
			if w.res.runs.Load() != 5 {
				t.Fatal(w.res.runs.Load())
			}
		})
	})
	t.Run("Close ends the context of running handlers and waits for them", func(t *testing.T) {
		inWorld(t, endpoint.Config{}, func(t *testing.T, w *world) {
			w.peer.send(serverAddr, get(t, con, 1, "slow"))
			synctest.Wait()
			if err := w.server.Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := w.server.Do(context.Background(), endpoint.Request{To: clientAddr, Code: codes.GET}); !errors.Is(err, endpoint.ErrClosed) {
				t.Fatal(err)
			}
			if err := w.server.JoinGroup(endpoint.MulticastGroup{Addr: groupAddr}); !errors.Is(err, endpoint.ErrClosed) {
				t.Fatal(err)
			}
		})
	})
}

func TestEcho(t *testing.T) {
	ask := func(w *world, opts ...message.Option) message.Message {
		w.peer.send(serverAddr, w.protected(con, 1+int32(w.mine.seq.Load()), "a", opts...))
		return w.opened(w.peer.nextMessage(time.Second))
	}
	challenge := func(w *world) message.Option {
		w.sec.invalid.Store(true)
		m := ask(w)
		v, ok := coapmsg.Get(m.Options, coapmsg.Echo)
		if m.Code != codes.Unauthorized || !ok || len(m.Options) != 1 || len(m.Payload) != 0 {
			w.t.Fatalf("%+v", m)
		}
		return message.Option{ID: coapmsg.Echo, Value: v}
	}
	t.Run("OS-B.1.2-1 a request under a lost window gets a protected 4.01 with nothing but Echo", func(t *testing.T) {
		inWorld(t, endpoint.Config{}, func(t *testing.T, w *world) {
			challenge(w)
			if w.res.runs.Load() != 0 {
				t.Fatal("served")
			}
		})
	})
	t.Run("the right value is served, once", func(t *testing.T) {
		inWorld(t, endpoint.Config{}, func(t *testing.T, w *world) {
			echo := challenge(w)
			if m := ask(w, echo); m.Code != codes.Content {
				t.Fatalf("%+v", m)
			}
			w.sec.invalid.Store(true)
			if m := ask(w, echo); m.Code != codes.Unauthorized {
				t.Fatalf("a used value was taken: %+v", m)
			}
		})
	})
	t.Run("values that are late, forged or of another peer are challenged again", func(t *testing.T) {
		inWorld(t, endpoint.Config{}, func(t *testing.T, w *world) {
			echo := challenge(w)
			forged := message.Option{ID: coapmsg.Echo, Value: append([]byte{}, echo.Value...)}
			forged.Value[3] ^= 1
			short := message.Option{ID: coapmsg.Echo, Value: []byte{1}}
			for _, o := range []message.Option{forged, short} {
				if m := ask(w, o); m.Code != codes.Unauthorized {
					t.Fatalf("%+v", m)
				}
			}
			w.mine.id = 3
			if m := ask(w, echo); m.Code != codes.Unauthorized {
				t.Fatal("value of another sender was taken")
			}
			w.mine.id = 2
			other := listenRaw(t, w.net, otherAddr)
			other.send(serverAddr, w.protected(con, 90, "a", echo))
			if m := w.opened(other.nextMessage(time.Second)); m.Code != codes.Unauthorized {
				t.Fatal("value of another address was taken")
			}
			time.Sleep(61 * time.Second)
			if m := ask(w, echo); m.Code != codes.Unauthorized {
				t.Fatal("late value was taken")
			}
			if w.res.runs.Load() != 0 {
				t.Fatal("served")
			}
		})
	})
	t.Run("Do answers a challenge by itself, once", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n, res, sec, mine := netsim.New(netsim.Config{}), newResources(), &toy{id: 1}, &toy{id: 2}
			start(t, endpoint.Config{Network: n, Unicast: serverAddr, Handler: res, Openers: []endpoint.RequestOpener{sec}})
			client := start(t, endpoint.Config{Network: n, Unicast: clientAddr})
			sec.invalid.Store(true)
			resp, err := client.Do(context.Background(), endpoint.Request{To: serverAddr, Code: codes.POST, Path: "a", Security: mine})
			if err != nil || resp.Code != codes.Content || mine.seq.Load() != 2 {
				t.Fatalf("%+v %v", resp, err)
			}
		})
	})
}

func TestTokensAreLongAndRandom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := netsim.New(netsim.Config{})
		server := listenRaw(t, n, serverAddr)
		client := start(t, endpoint.Config{Network: n, Unicast: clientAddr, NSTART: 100})
		seen := map[string]bool{}
		for i := range 50 {
			go client.Do(t.Context(), endpoint.Request{To: serverAddr, Code: codes.GET, Path: fmt.Sprint(i)})
			m := server.nextMessage(time.Second)
			if len(m.Token) != 8 || seen[string(m.Token)] {
				t.Fatalf("token %x", m.Token)
			}
			seen[string(m.Token)] = true
		}
		client.Close()
		synctest.Wait()
	})
}
