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

func TestServerRefuses(t *testing.T) {
	t.Run("O1,O2 the OSCORE option is known, and an unknown critical option is 4.02 for every CON method and silence for NON", func(t *testing.T) {
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
	t.Run("other block-wise transfers and proxying are refused, not misread", func(t *testing.T) {
		inWorld(t, endpoint.Config{}, func(t *testing.T, w *world) {
			for i, c := range []struct {
				opt  message.Option
				code codes.Code
			}{
				{message.Option{ID: coapmsg.QBlock1, Value: []byte{8}}, codes.BadOption},
				{message.Option{ID: coapmsg.QBlock2, Value: []byte{1}}, codes.BadOption},
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
