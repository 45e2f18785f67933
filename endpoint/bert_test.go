package endpoint_test

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/mux"

	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// bertCSM are the options of a peer that knows BERT blocks and takes messages of
// up to size bytes.
func bertCSM(size uint32) []message.Option {
	return []message.Option{csmOption(coapmsg.CSMMaxMessageSize, size), {ID: coapmsg.CSMBlockWiseTransfer}}
}

// bodies serves /body, which is long and keeps what is put there.
type bodies struct {
	body []byte
	got  []byte
}

func (b *bodies) ServeCOAP(w mux.ResponseWriter, r *mux.Message) {
	if r.Code() == codes.PUT {
		b.got, _ = r.ReadBody()
		_ = w.SetResponse(codes.Changed, 0, nil)
		return
	}
	_ = w.SetResponse(codes.Content, message.TextPlain, bytes.NewReader(b.body))
}

func (w *streamWorld) serveBodies(n int) *bodies {
	b := &bodies{body: text(n)}
	w.res.Handle("/body", endpoint.AcceptPlain|endpoint.AcceptOSCORE, endpoint.Observable(b))
	return b
}

func bodyRequest(code codes.Code, payload []byte, opts ...message.Option) message.Message {
	m := message.Message{Code: code, Token: []byte{1}, Options: message.Options{{ID: message.URIPath, Value: []byte("body")}}, Payload: payload}
	for _, o := range opts {
		m.Options = coapmsg.Insert(m.Options, o)
	}
	return m
}

// RFC 8323, Sections 5.3.2 and 6.
func TestBERTServer(t *testing.T) {
	t.Run("a long body comes in as many kilobytes at once as the peer takes", func(t *testing.T) {
		inStreamWorld(t, endpoint.Config{}, func(t *testing.T, w *streamWorld) {
			b := w.serveBodies(10000)
			r := greeted(t, w.net, serverAddr, bertCSM(4096)...)
			var got []byte
			var nums []uint32
			m := bodyRequest(codes.GET, nil)
			for more := true; more; {
				r.put(m)
				resp := r.next(time.Second)
				num, m2, szx := blockIn(t, resp, message.Block2)
				if resp.Code != codes.Content || szx != 7 || int(num)*1024 != len(got) || m2 && len(resp.Payload)%1024 != 0 {
					t.Fatalf("%d/%v/%d, %d bytes", num, m2, szx, len(resp.Payload))
				}
				got, more, nums = append(got, resp.Payload...), m2, append(nums, num)
				m = bodyRequest(codes.GET, nil, blockOption(message.Block2, uint32(len(got)/1024), false, 7))
			}
			if !bytes.Equal(got, b.body) || !slices.Equal(nums, []uint32{0, 3, 6, 9}) {
				t.Fatalf("%d bytes in blocks %v", len(got), nums)
			}
		})
	})
	for name, c := range map[string]struct {
		csm   []message.Option
		asked []message.Option
		szx   uint8
		n     int
	}{
		"asked for by number and size, whatever was said": {bertCSM(4096), []message.Option{blockOption(message.Block2, 2, false, 7)}, 7, 3072},
		"not to a peer that asks for smaller blocks":      {bertCSM(4096), []message.Option{blockOption(message.Block2, 0, false, 6)}, 6, 1024},
		"not to a peer that says nothing of blocks":       {bertCSM(4096)[:1], nil, 6, 1024},
		"not even if it asks":                             {bertCSM(4096)[:1], []message.Option{blockOption(message.Block2, 3, false, 7)}, 6, 1024},
		"not to a peer that takes 1152 bytes":             {bertCSM(1152), nil, 6, 1024},
	} {
		t.Run("BERT blocks are sent "+name, func(t *testing.T) {
			inStreamWorld(t, endpoint.Config{}, func(t *testing.T, w *streamWorld) {
				w.serveBodies(10000)
				r := greeted(t, w.net, serverAddr, c.csm...)
				r.put(bodyRequest(codes.GET, nil, c.asked...))
				resp := r.next(time.Second)
				if _, more, szx := blockIn(t, resp, message.Block2); !more || szx != c.szx || len(resp.Payload) != c.n {
					t.Fatalf("exponent %d, %d bytes", szx, len(resp.Payload))
				}
			})
		})
	}
	t.Run("a later CSM with a Max-Message-Size of 1152 takes the indication back", func(t *testing.T) {
		inStreamWorld(t, endpoint.Config{}, func(t *testing.T, w *streamWorld) {
			w.serveBodies(10000)
			r := greeted(t, w.net, serverAddr, bertCSM(4096)...)
			r.put(message.Message{Code: coapmsg.CSM, Options: bertCSM(1152)[:1]})
			r.put(bodyRequest(codes.GET, nil))
			if _, _, szx := blockIn(t, r.next(time.Second), message.Block2); szx != 6 {
				t.Fatal(szx)
			}
		})
	})
	t.Run("BERT blocks of a request are put together where they belong", func(t *testing.T) {
		inStreamWorld(t, endpoint.Config{MaxBody: 8192}, func(t *testing.T, w *streamWorld) {
			b := w.serveBodies(1)
			body := text(7000)
			r := greeted(t, w.net, serverAddr)
			for i, c := range []struct {
				num     uint32
				more    bool
				payload []byte
				code    codes.Code
			}{
				{0, true, body[:2048], codes.Continue},
				{0, true, body[:2048], codes.Continue}, // a copy begins anew
				{2, true, body[2048:3000], codes.BadRequest},
				{2, true, nil, codes.BadRequest},
				{5, true, body[5120:6144], codes.RequestEntityIncomplete},
				{2, true, body[2048:5120], codes.Continue},
				{2, true, body[2048:5120], codes.Continue},
				{8, true, body[:1024], codes.RequestEntityTooLarge},
				{5, false, body[5120:], codes.Changed},
			} {
				r.put(bodyRequest(codes.PUT, c.payload, blockOption(message.Block1, c.num, c.more, 7)))
				resp := r.next(time.Second)
				if resp.Code != c.code {
					t.Fatalf("%d: %v %q", i, resp.Code, resp.Payload)
				}
				if coapmsg.IsSuccess(c.code) {
					if num, more, szx := blockIn(t, resp, message.Block1); num != c.num || more != c.more || szx != 7 {
						t.Fatalf("%d: acknowledged %d/%v/%d", i, num, more, szx)
					}
				}
			}
			if !bytes.Equal(b.got, body) {
				t.Fatalf("%d bytes", len(b.got))
			}
		})
	})
	t.Run("bodies under OSCORE are cut in blocks that every transport knows", func(t *testing.T) {
		inStreamWorld(t, endpoint.Config{}, func(t *testing.T, w *streamWorld) {
			b := w.serveBodies(10000)
			r := greeted(t, w.net, serverAddr, bertCSM(4096)...)
			peer := &toy{id: 2}
			ask := func(m message.Message) message.Message {
				t.Helper()
				out, opener, err := peer.ProtectRequest(m)
				if err != nil {
					t.Fatal(err)
				}
				out.Token = []byte{1}
				r.put(out)
				in, _, err := opener.OpenResponse(r.next(time.Second), time.Now())
				if err != nil {
					t.Fatal(err)
				}
				return in
			}
			for _, asked := range [][]message.Option{nil, {blockOption(message.Block2, 2, false, 7)}} {
				resp := ask(bodyRequest(codes.GET, nil, asked...))
				if _, more, szx := blockIn(t, resp, message.Block2); !more || szx != 6 || len(resp.Payload) != 1024 {
					t.Fatalf("exponent %d, %d bytes", szx, len(resp.Payload))
				}
			}
			resp := ask(bodyRequest(codes.PUT, b.body[:2048], blockOption(message.Block1, 0, true, 7)))
			if _, _, szx := blockIn(t, resp, message.Block1); resp.Code != codes.Continue || szx != 6 {
				t.Fatalf("%v, exponent %d", resp.Code, szx)
			}
			if resp = ask(bodyRequest(codes.PUT, b.body[2048:3000], blockOption(message.Block1, 2, false, 6))); resp.Code != codes.Changed || !bytes.Equal(b.got, b.body[:3000]) {
				t.Fatalf("%v, %d bytes", resp.Code, len(b.got))
			}
		})
	})
	t.Run("SZX 7 is refused where the CSM did not promise to understand it", func(t *testing.T) {
		inStreamWorld(t, endpoint.Config{TCP: endpoint.TCPConfig{MaxMessageSize: 1152}}, func(t *testing.T, w *streamWorld) {
			w.serveBodies(10000)
			r := greeted(t, w.net, serverAddr, bertCSM(4096)...)
			for _, id := range []message.OptionID{message.Block1, message.Block2} {
				r.put(bodyRequest(codes.GET, nil, blockOption(id, 0, false, 7)))
				if resp := r.next(time.Second); resp.Code != codes.BadRequest {
					t.Fatalf("%+v", resp)
				}
			}
			peer := listenRaw(t, w.net.Network, otherAddr)
			for i, id := range []message.OptionID{message.Block1, message.Block2} {
				peer.send(serverAddr, get(t, message.Confirmable, int32(i), "body", blockOption(id, 0, false, 7)))
				if resp := peer.nextMessage(time.Second); resp.Code != codes.BadRequest {
					t.Fatalf("%+v", resp)
				}
			}
		})
	})
	t.Run("notifications are cut to what the peer takes", func(t *testing.T) {
		for _, c := range []struct {
			csm []message.Option
			n   int
		}{{bertCSM(4096), 3072}, {bertCSM(4096)[:1], 1024}, {bertCSM(400), 256}, {bertCSM(20000), 10000}} {
			inStreamWorld(t, endpoint.Config{}, func(t *testing.T, w *streamWorld) {
				w.serveBodies(10000)
				r := greeted(t, w.net, serverAddr, c.csm...)
				r.put(bodyRequest(codes.GET, nil, message.Option{ID: message.Observe}))
				first := r.next(time.Second)
				w.server.Notify("/body")
				if m := r.next(time.Minute); len(m.Payload) != c.n || len(first.Payload) != c.n || !coapmsg.Has(m.Options, message.Observe) {
					t.Fatalf("%v: %d bytes, then %d", c.csm, len(first.Payload), len(m.Payload))
				}
			})
		}
	})
}

func TestBERTClient(t *testing.T) {
	t.Run("long bodies in both directions take few messages", func(t *testing.T) {
		inStreamWorld(t, endpoint.Config{TCP: endpoint.TCPConfig{MaxMessageSize: 8192}}, func(t *testing.T, w *streamWorld) {
			b := w.serveBodies(300_000)
			client := start(t, endpoint.Config{Network: w.net, Unicast: clientAddr, TCP: endpoint.TCPConfig{MaxMessageSize: 16384}})
			for _, sec := range []endpoint.Protector{nil, &toy{id: 2}} {
				ctx, cancel := within(time.Minute)
				resp, err := client.Do(ctx, endpoint.Request{To: serverAddr, Via: endpoint.ViaTCP, Code: codes.GET, Path: "body", Security: sec})
				if err != nil || !bytes.Equal(resp.Payload, b.body) {
					t.Fatalf("%+v %v", resp, err)
				}
				b.got = nil
				resp, err = client.Do(ctx, endpoint.Request{To: serverAddr, Via: endpoint.ViaTCP, Code: codes.PUT, Path: "body", Security: sec, Payload: b.body})
				if err != nil || resp.Code != codes.Changed || !bytes.Equal(b.got, b.body) {
					t.Fatalf("%+v %v", resp, err)
				}
				cancel()
			}
		})
	})
	t.Run("a body longer than the server takes goes in BERT blocks, and in smaller ones if it says so", func(t *testing.T) {
		for _, acked := range []uint8{7, 6, 4} {
			inStreamWorld(t, endpoint.Config{}, func(t *testing.T, w *streamWorld) {
				server, done := w.answerDo(t, bertCSM(4096), endpoint.Request{Code: codes.PUT, Path: "x", Payload: text(9000)})
				var got []byte
				size := 3072
				for more := true; more; {
					m := server.next(time.Second)
					num, m1, szx := blockIn(t, m, message.Block1)
					unit := 16 << min(szx, 6)
					if int(num)*unit != len(got) || m1 && len(m.Payload) != size || len(got) > 0 && szx != acked {
						t.Fatalf("block %d/%v/%d with %d bytes after %d", num, m1, szx, len(m.Payload), len(got))
					}
					got, more = append(got, m.Payload...), m1
					code := codes.Continue
					if !more {
						code = codes.Changed
					}
					if szx > acked {
						num, szx, size = 0, acked, 16<<acked
					}
					server.put(message.Message{Code: code, Token: m.Token, Options: message.Options{blockOption(message.Block1, num, m1, szx)}})
				}
				if err := <-done; err != nil || !bytes.Equal(got, text(9000)) {
					t.Fatalf("%d bytes, %v", len(got), err)
				}
			})
		}
	})
	t.Run("impossible BERT blocks of a server end the request", func(t *testing.T) {
		for _, n := range []int{0, 1023, 1500} {
			inStreamWorld(t, endpoint.Config{}, func(t *testing.T, w *streamWorld) {
				server, done := w.answerDo(t, bertCSM(4096), endpoint.Request{Code: codes.GET, Path: "x"})
				m := server.next(time.Second)
				server.put(message.Message{Code: codes.Content, Token: m.Token, Options: message.Options{blockOption(message.Block2, 0, true, 7)}, Payload: text(n)})
				if err := <-done; err == nil {
					t.Fatalf("block of %d bytes was taken", n)
				}
			})
		}
	})
	t.Run("what BERT blocks make is bounded", func(t *testing.T) {
		inStreamWorld(t, endpoint.Config{MaxBody: 4096}, func(t *testing.T, w *streamWorld) {
			server, done := w.answerDo(t, bertCSM(4096), endpoint.Request{Code: codes.GET, Path: "x"})
			for num := uint32(0); num <= 4; num += 2 {
				m := server.next(time.Second)
				if v, ok := coapmsg.Get(m.Options, message.Block2); ok != (num > 0) || ok && !bytes.Equal(v, coapmsg.EncodeUint(num<<4|7)) {
					t.Fatalf("asked for %x, want block %d", v, num)
				}
				server.put(message.Message{Code: codes.Content, Token: m.Token, Options: message.Options{blockOption(message.Block2, num, true, 7)}, Payload: text(2048)})
			}
			if err := <-done; err == nil {
				t.Fatal("6144 bytes were taken")
			}
		})
	})
}

// answerDo has the server of the world, as a client, ask a peer made of single
// messages that greets with the given options.
func (w *streamWorld) answerDo(t *testing.T, csm []message.Option, r endpoint.Request) (*rawStream, <-chan error) {
	t.Helper()
	r.To, r.Via = netip.MustParseAddrPort("10.0.0.9:5683"), endpoint.ViaTCP
	l, err := w.net.ListenStream(r.To)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	done := make(chan error, 1)
	go func() {
		ctx, cancel := within(time.Minute)
		defer cancel()
		_, err := w.server.Do(ctx, r)
		done <- err
	}()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	server := newRawStream(t, c)
	server.put(message.Message{Code: coapmsg.CSM, Options: csm})
	if m := server.next(time.Second); m.Code != coapmsg.CSM {
		t.Fatalf("%+v", m)
	}
	return server, done
}
