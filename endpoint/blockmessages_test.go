package endpoint_test

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/internal/netsim"
)

// blockOption makes a Block option.
func blockOption(id message.OptionID, num uint32, more bool, szx uint8) message.Option {
	v := num<<4 | uint32(szx)
	if more {
		v |= 8
	}
	return message.Option{ID: id, Value: coapmsg.EncodeUint(v)}
}

// blockIn reads one.
func blockIn(t testing.TB, m message.Message, id message.OptionID) (num uint32, more bool, szx uint8) {
	t.Helper()
	v, ok := coapmsg.Get(m.Options, id)
	n, err := coapmsg.DecodeUint(v)
	if !ok || err != nil {
		t.Fatalf("no block option %d in %+v", id, m)
	}
	return n >> 4, n&8 != 0, uint8(n & 7)
}

// put is a plain PUT datagram to /short.
func put(t testing.TB, mid int32, body []byte, opts ...message.Option) []byte {
	t.Helper()
	m, err := coapmsg.ParseDatagram(get(t, con, mid, "short", opts...))
	if err != nil {
		t.Fatal(err)
	}
	m.Code, m.Payload = codes.PUT, body
	return encode(t, m)
}

// ask sends a datagram and returns the answer.
func (r *raw) ask(b []byte) message.Message {
	r.t.Helper()
	r.send(serverAddr, b)
	return r.nextMessage(time.Second)
}

func TestBlockwiseMessages(t *testing.T) {
	in := func(t *testing.T, cfg endpoint.Config, f func(t *testing.T, l *library, peer *raw)) {
		inLibrary(t, netsim.Config{}, cfg, endpoint.Config{}, func(t *testing.T, l *library) {
			f(t, l, listenRaw(t, l.net, otherAddr))
		})
	}
	b1 := func(num uint32, more bool) message.Option { return blockOption(message.Block1, num, more, 2) }
	body := text(160) // of 64-byte blocks
	t.Run("blocks of a request are taken in order, and repeated ones once", func(t *testing.T) {
		in(t, open, func(t *testing.T, l *library, peer *raw) {
			for i, num := range []uint32{0, 1, 1, 0} {
				if i == 3 {
					continue
				}
				m := peer.ask(put(t, int32(i), body[64*num:64*num+64], b1(num, true)))
				n, more, szx := blockIn(t, m, message.Block1)
				if m.Code != codes.Continue || n != num || !more || szx != 2 {
					t.Fatalf("%d: %+v", i, m)
				}
			}
			m := peer.ask(put(t, 9, body[128:], b1(2, false)))
			if _, more, _ := blockIn(t, m, message.Block1); m.Code != codes.Changed || string(m.Payload) != "160" || more {
				t.Fatalf("%+v", m)
			}
			if m := peer.ask(put(t, 10, body[128:], b1(2, false))); m.Code != codes.RequestEntityIncomplete {
				t.Fatalf("after the end: %v", m.Code)
			}
		})
	})
	t.Run("impossible blocks are 4.00, missing ones 4.08", func(t *testing.T) {
		in(t, open, func(t *testing.T, l *library, peer *raw) {
			for i, c := range []struct {
				body []byte
				opt  message.Option
				code codes.Code
			}{
				{body[:64], blockOption(message.Block1, 0, true, 7), codes.BadRequest},
				{body[:63], b1(0, true), codes.BadRequest},
				{nil, b1(0, true), codes.BadRequest},
				{body[:65], b1(0, false), codes.BadRequest},
				{body[:64], b1(1, true), codes.RequestEntityIncomplete},
				{body[:64], b1(0, true), codes.Continue},
				{body[:64], b1(2, true), codes.RequestEntityIncomplete},
				{body[:64], blockOption(message.Block2, 0, false, 7), codes.BadRequest},
				{body[:64], blockOption(message.Block2, 1, false, 2), codes.RequestEntityIncomplete},
			} {
				if m := peer.ask(put(t, int32(i), c.body, c.opt)); m.Code != c.code {
					t.Fatalf("%d: %v", i, m.Code)
				}
			}
			if l.served.Load() != 0 {
				t.Fatal("served")
			}
		})
	})
	t.Run("bodies with different Request-Tags are different bodies", func(t *testing.T) {
		in(t, open, func(t *testing.T, l *library, peer *raw) {
			tag := func(s string) message.Option { return message.Option{ID: coapmsg.RequestTag, Value: []byte(s)} }
			peer.ask(put(t, 1, body[:64], b1(0, true), tag("a")))
			peer.ask(put(t, 2, body[:64], b1(0, true), tag("b")))
			peer.ask(put(t, 3, body[64:128], b1(1, true), tag("a")))
			if m := peer.ask(put(t, 4, body[128:], b1(2, false), tag("b"))); m.Code != codes.RequestEntityIncomplete {
				t.Fatal(m.Code)
			}
			if m := peer.ask(put(t, 5, body[128:], b1(2, false), tag("a"))); m.Code != codes.Changed {
				t.Fatal(m.Code)
			}
		})
	})
	t.Run("bodies of other addresses are not continued", func(t *testing.T) {
		in(t, open, func(t *testing.T, l *library, peer *raw) {
			peer.ask(put(t, 1, body[:64], b1(0, true)))
			thief := listenRaw(t, l.net, lampAddr(7))
			if m := thief.ask(put(t, 2, body[64:128], b1(1, false))); m.Code != codes.RequestEntityIncomplete {
				t.Fatal(m.Code)
			}
		})
	})
	t.Run("what is not continued is forgotten after the lifetime of an exchange", func(t *testing.T) {
		in(t, open, func(t *testing.T, l *library, peer *raw) {
			peer.ask(put(t, 1, body[:64], b1(0, true)))
			pass(248 * time.Second)
			if m := peer.ask(put(t, 2, body[64:128], b1(1, true))); m.Code != codes.RequestEntityIncomplete {
				t.Fatal(m.Code)
			}
		})
	})
	t.Run("Size1 of more than a server takes is 4.13 at once", func(t *testing.T) {
		in(t, endpoint.Config{InsecureAmplification: true, MaxBody: 100}, func(t *testing.T, l *library, peer *raw) {
			m := peer.ask(put(t, 1, body[:64], b1(0, true), message.Option{ID: message.Size1, Value: []byte{101}}))
			if size, _ := coapmsg.Get(m.Options, message.Size1); m.Code != codes.RequestEntityTooLarge || !bytes.Equal(size, []byte{100}) {
				t.Fatalf("%+v", m)
			}
		})
	})
	t.Run("blocks of a response have the same ETag and tell their size, in the size asked for", func(t *testing.T) {
		in(t, open, func(t *testing.T, l *library, peer *raw) {
			var got, tag []byte
			for i := uint32(0); ; i++ {
				m := peer.ask(get(t, con, int32(i), "shelf", blockOption(message.Block2, i, false, 5)))
				n, more, szx := blockIn(t, m, message.Block2)
				other, _ := coapmsg.Get(m.Options, message.ETag)
				if m.Code != codes.Content || n != i || szx != 5 || len(other) != 8 || i > 0 && !bytes.Equal(tag, other) {
					t.Fatalf("%+v", m)
				}
				if size, _ := coapmsg.Get(m.Options, message.Size2); i == 0 && !bytes.Equal(size, coapmsg.EncodeUint(5000)) {
					t.Fatalf("Size2 %x", size)
				}
				got, tag = append(got, m.Payload...), other
				if !more {
					break
				}
			}
			if !bytes.Equal(got, text(5000)) || l.served.Load() != 1 {
				t.Fatalf("%d bytes, served %d times", len(got), l.served.Load())
			}
		})
	})
	t.Run("the block size may become smaller on the way", func(t *testing.T) {
		in(t, open, func(t *testing.T, l *library, peer *raw) {
			peer.ask(get(t, con, 1, "shelf"))
			m := peer.ask(get(t, con, 2, "shelf", blockOption(message.Block2, 16, false, 2)))
			if !bytes.Equal(m.Payload, text(5000)[1024:1024+64]) {
				t.Fatalf("%s", m.Payload)
			}
		})
	})
	t.Run("strangers hold no more than their room, whatever address they write", func(t *testing.T) {
		cfg := open
		cfg.BlockBytes = 512 << 10
		in(t, cfg, func(t *testing.T, l *library, peer *raw) {
			for i := range 2000 {
				tag := message.Option{ID: coapmsg.RequestTag, Value: coapmsg.EncodeUint(uint32(i))}
				peer.send(serverAddr, put(t, int32(i), body[:64], b1(0, true), tag))
				synctest.Wait()
				peer.nextMessage(time.Second)
			}
			if n := endpoint.BlockBytesHeld(l.server); n > 64<<10 {
				t.Fatalf("%d bytes", n)
			}
			pass(500 * time.Second)
			if n := endpoint.BlockBytesHeld(l.server); n != 0 {
				t.Fatalf("%d bytes after all is over", n)
			}
		})
	})
}
