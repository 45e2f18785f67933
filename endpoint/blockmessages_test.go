package endpoint_test

import (
	"bytes"
	"context"
	"errors"
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

// proxy is a raw peer that hands protected messages on, in pieces.
type proxy struct {
	*raw
	t *testing.T
}

func TestOuterBlocks(t *testing.T) {
	protect := func(l *library, m message.Message) (message.Message, endpoint.ResponseOpener) {
		out, opener, err := l.secs["oscore"].ProtectRequest(m)
		if err != nil {
			t.Fatal(err)
		}
		return out, opener
	}
	request := func(n int) message.Message {
		return message.Message{Code: codes.PUT, Options: message.Options{{ID: message.URIPath, Value: []byte("echo")}}, Payload: text(n)}
	}
	// pieces sends a protected message in Outer blocks and returns the answer
	// to the last one.
	pieces := func(t *testing.T, peer *raw, m message.Message, mid int32, szx uint8, opts ...message.Option) message.Message {
		size := 16 << szx
		var answer message.Message
		for i := 0; i*size < len(m.Payload); i++ {
			part := m
			end := min(len(m.Payload), (i+1)*size)
			part.Payload = m.Payload[i*size : end]
			part.Options = coapmsg.Insert(append(message.Options{}, m.Options...), blockOption(message.Block1, uint32(i), end < len(m.Payload), szx))
			for _, o := range opts {
				part.Options = coapmsg.Insert(part.Options, o)
			}
			part.Type, part.MessageID, part.Token = con, mid+int32(i), []byte{byte(mid)}
			answer = peer.ask(encode(t, part))
			if end < len(m.Payload) && (answer.Code != codes.Continue || coapmsg.Has(answer.Options, coapmsg.OSCORE)) {
				return answer
			}
		}
		return answer
	}
	in := func(t *testing.T, cfg endpoint.Config, f func(t *testing.T, l *library, peer *raw)) {
		inLibrary(t, netsim.Config{}, cfg, endpoint.Config{}, func(t *testing.T, l *library) {
			f(t, l, listenRaw(t, l.net, otherAddr))
		})
	}
	t.Run("OS-4.1.3.4.2-3,OS-8.2.1-1,OS-4.1.3.4.1-2 a protected request in Outer blocks is put together, then verified once", func(t *testing.T) {
		in(t, open, func(t *testing.T, l *library, peer *raw) {
			m, opener := protect(l, request(300))
			answer := pieces(t, peer, m, 1, 2)
			if num, more, _ := blockIn(t, answer, message.Block1); num != 4 || more {
				t.Fatalf("%+v", answer)
			}
			answer.Options = coapmsg.Without(answer.Options, message.Block1)
			plain, _, err := opener.OpenResponse(answer, time.Now())
			if err != nil || !bytes.Equal(plain.Payload[1:], text(300)) || l.served.Load() != 1 {
				t.Fatalf("%+v %v", plain, err)
			}
		})
	})
	t.Run("OS-4.1.3.4.2-1,OS-4.1.3.4.2-4 more than MAX_UNFRAGMENTED_SIZE is discarded", func(t *testing.T) {
		cfg := open
		cfg.MaxUnfragmented = 1000
		in(t, cfg, func(t *testing.T, l *library, peer *raw) {
			m, _ := protect(l, request(1000))
			if answer := pieces(t, peer, m, 1, 4); answer.Code != codes.RequestEntityTooLarge || l.served.Load() != 0 {
				t.Fatalf("%+v", answer)
			}
			m, _ = protect(l, request(900))
			if answer := pieces(t, peer, m, 60, 4); answer.Code != codes.Changed || l.served.Load() != 1 {
				t.Fatalf("%+v", answer)
			}
		})
	})
	t.Run("a protected response is given in the Outer blocks a proxy asks for", func(t *testing.T) {
		in(t, open, func(t *testing.T, l *library, peer *raw) {
			m, opener := protect(l, request(300))
			var got []byte
			var last message.Message
			for i := uint32(0); ; i++ {
				part := m
				part.Options = coapmsg.Insert(append(message.Options{}, m.Options...), blockOption(message.Block2, i, false, 2))
				part.Type, part.MessageID, part.Token = con, int32(i), []byte{1}
				last = peer.ask(encode(t, part))
				num, more, szx := blockIn(t, last, message.Block2)
				if num != i || szx != 2 || !coapmsg.Has(last.Options, coapmsg.OSCORE) {
					t.Fatalf("%+v", last)
				}
				if got = append(got, last.Payload...); !more {
					break
				}
			}
			last.Payload, last.Options = got, coapmsg.Without(last.Options, message.Block2)
			plain, _, err := opener.OpenResponse(last, time.Now())
			if err != nil || !bytes.Equal(plain.Payload[1:], text(300)) || l.served.Load() != 1 {
				t.Fatalf("%+v %v", plain, err)
			}
		})
	})
	t.Run("a flipped bit in one piece fails the whole", func(t *testing.T) {
		in(t, open, func(t *testing.T, l *library, peer *raw) {
			m, _ := protect(l, request(300))
			m.Payload = bytes.Clone(m.Payload)
			m.Payload[100] ^= 1
			if answer := pieces(t, peer, m, 1, 2); answer.Code != codes.BadRequest || l.served.Load() != 0 {
				t.Fatalf("%+v", answer)
			}
		})
	})
	t.Run("OS-4.1.3.4.2-2 no protected message is longer than MAX_UNFRAGMENTED_SIZE, for Inner blocks are chosen so", func(t *testing.T) {
		cfg := open
		cfg.MaxUnfragmented = 700
		inLibrary(t, netsim.Config{}, cfg, endpoint.Config{MaxUnfragmented: 700}, func(t *testing.T, l *library) {
			longest := 0
			l.net.SetFilter(func(p netsim.Packet) netsim.Verdict {
				longest = max(longest, len(p.Data))
				return netsim.Verdict{}
			})
			for _, sec := range []string{"oscore", "pairwise", "group"} {
				if resp := l.mustDo(codes.POST, "echo", sec, text(3000)); !bytes.Equal(resp.Payload[1:], text(3000)) {
					t.Fatal(sec)
				}
			}
			if longest > 700 || longest < 200 {
				t.Fatalf("%d bytes", longest)
			}
		})
	})
	t.Run("a client cuts its protected requests for a proxy, and Inner blocks stay whole", func(t *testing.T) {
		in(t, open, func(t *testing.T, l *library, _ *raw) {
			outer := 0
			l.net.SetFilter(func(p netsim.Packet) netsim.Verdict {
				if m, err := coapmsg.ParseDatagram(p.Data); err == nil && p.To == serverAddr {
					if outer++; len(m.Payload) > 128 {
						t.Errorf("%d bytes", len(m.Payload))
					}
				}
				return netsim.Verdict{}
			})
			resp, err := l.client.Do(context.Background(), endpoint.Request{
				To: serverAddr, Code: codes.POST, Path: "short", Payload: text(2500), Security: l.secs["oscore"], OuterBlockSize: 128,
			})
			if err != nil || string(resp.Payload) != "2500" || outer < 20 {
				t.Fatalf("%+v %v, %d pieces", resp, err, outer)
			}
		})
	})
	t.Run("OS-8.4.1-1 a response that a proxy cut is fetched in pieces and verified once", func(t *testing.T) {
		inLibrary(t, netsim.Config{}, open, endpoint.Config{}, func(t *testing.T, l *library) {
			front := listenRaw(t, l.net, otherAddr)
			back := listenRaw(t, l.net, lampAddr(9))
			p := &proxy{raw: front, t: t}
			done := make(chan struct{})
			go func() { defer close(done); p.run(back, 5) }()
			resp, err := l.client.Do(context.Background(), endpoint.Request{To: otherAddr, Code: codes.POST, Path: "echo", Payload: text(300), Security: l.secs["oscore"]})
			if err != nil || !bytes.Equal(resp.Payload[1:], text(300)) || l.served.Load() != 1 {
				t.Fatalf("%+v %v", resp, err)
			}
			front.Close()
			<-done
		})
	})
	t.Run("pieces without end are given up at MAX_UNFRAGMENTED_SIZE", func(t *testing.T) {
		inLibrary(t, netsim.Config{}, open, endpoint.Config{}, func(t *testing.T, l *library) {
			front := listenRaw(t, l.net, otherAddr)
			go func() {
				b := make([]byte, 2048)
				for {
					n, from, _, _, err := front.ReadFrom(b)
					if err != nil {
						return
					}
					m, _ := coapmsg.ParseDatagram(b[:n])
					num := uint32(0)
					if coapmsg.Has(m.Options, message.Block2) {
						num, _, _ = blockIn(t, m, message.Block2)
					}
					answer := message.Message{Type: message.Acknowledgement, MessageID: m.MessageID, Token: m.Token, Code: codes.Changed, Payload: make([]byte, 64),
						Options: message.Options{{ID: coapmsg.OSCORE}, blockOption(message.Block2, num, true, 2)}}
					front.send(from, encode(t, answer))
				}
			}()
			_, err := l.client.Do(context.Background(), endpoint.Request{To: otherAddr, Code: codes.GET, Path: "echo", Security: l.secs["oscore"]})
			if !errors.Is(err, endpoint.ErrBlock) {
				t.Fatal(err)
			}
		})
	})
}

// run forwards requests to the server and cuts the responses into blocks.
func (p *proxy) run(back *raw, szx uint8) {
	b := make([]byte, 2048)
	var kept message.Message
	for {
		n, from, _, _, err := p.ReadFrom(b)
		if err != nil {
			return
		}
		m, err := coapmsg.ParseDatagram(bytes.Clone(b[:n]))
		if err != nil {
			continue
		}
		num := uint32(0)
		if v, ok := coapmsg.Get(m.Options, message.Block2); ok {
			x, _ := coapmsg.DecodeUint(v)
			num = x >> 4
		}
		if num == 0 {
			kept = back.ask(encode(p.t, m))
		}
		size := 16 << szx
		end := min(len(kept.Payload), int(num+1)*size)
		answer := kept
		answer.Type, answer.MessageID, answer.Token = message.Acknowledgement, m.MessageID, m.Token
		answer.Payload = kept.Payload[int(num)*size : end]
		answer.Options = coapmsg.Insert(append(message.Options{}, kept.Options...), blockOption(message.Block2, num, end < len(kept.Payload), szx))
		p.send(from, encode(p.t, answer))
	}
}
