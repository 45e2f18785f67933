package endpoint_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/internal/netsim"
)

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
