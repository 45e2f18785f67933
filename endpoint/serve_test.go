package endpoint_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/coapmsg"
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
	t.Run("after its lifetime, 247 s or for NON 145 s, a Message ID is that of a new request", func(t *testing.T) {
		inWorld(t, endpoint.Config{}, func(t *testing.T, w *world) {
			for i, typ := range []message.Type{con, non} {
				life := []time.Duration{247 * time.Second, 145 * time.Second}[i]
				b := get(t, typ, 9, "a")
				w.peer.send(serverAddr, b)
				w.peer.nextMessage(time.Second)
				time.Sleep(life - time.Second)
				before := w.res.runs.Load()
				w.peer.send(serverAddr, b)
				pass(10 * time.Millisecond)
				if w.res.runs.Load() != before {
					t.Fatalf("%v: served again within its lifetime", typ)
				}
				time.Sleep(time.Second)
				w.peer.send(serverAddr, b)
				pass(10 * time.Millisecond)
				if w.res.runs.Load() != before+1 {
					t.Fatalf("%v: not served after its lifetime", typ)
				}
				for w.peer.next(time.Millisecond) != nil { // answers that nobody looks at
				}
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
