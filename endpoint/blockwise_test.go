package endpoint_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/mux"

	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/internal/netsim"
)

// library is a server with long bodies, and a client, over a simulated network.
type library struct {
	t       *testing.T
	net     *netsim.Network
	server  *endpoint.Endpoint
	client  *endpoint.Endpoint
	meter   *endpoint.Counters
	cmeter  *endpoint.Counters
	secs    map[string]endpoint.Protector
	served  atomic.Int64
	mu      sync.Mutex
	shelf   []byte // body of /shelf
	seen    []message.Option
	handler *endpoint.Mux
}

// text is a body of n bytes, in which each byte tells where it is.
func text(n int) []byte {
	var b bytes.Buffer
	for b.Len() < n {
		fmt.Fprintf(&b, "%07d ", b.Len())
	}
	return b.Bytes()[:n]
}

func (l *library) put(b []byte) {
	l.mu.Lock()
	l.shelf = b
	l.mu.Unlock()
}

// inLibrary runs f under fake time. Addresses need no validation, unless the
// configuration says otherwise.
func inLibrary(t *testing.T, nc netsim.Config, sc, cc endpoint.Config, f func(t *testing.T, l *library)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { newLibrary(t, nc, sc, cc, f) })
}

func newLibrary(t *testing.T, nc netsim.Config, sc, cc endpoint.Config, f func(t *testing.T, l *library)) {
	l := &library{t: t, net: netsim.New(nc), meter: &endpoint.Counters{}, cmeter: &endpoint.Counters{}, handler: endpoint.NewMux(), shelf: text(5000)}
	any := endpoint.AcceptPlain | endpoint.AcceptOSCORE | endpoint.AcceptPairwise | endpoint.AcceptGroup
	l.handler.Handle("/echo", any, mux.HandlerFunc(func(w mux.ResponseWriter, r *mux.Message) {
		l.served.Add(1)
		l.mu.Lock()
		l.seen = nil
		for _, o := range r.Options() {
			l.seen = append(l.seen, message.Option{ID: o.ID, Value: bytes.Clone(o.Value)})
		}
		l.mu.Unlock()
		body, _ := r.ReadBody()
		_ = w.SetResponse(codes.Content, message.TextPlain, bytes.NewReader(append([]byte{byte(r.Code())}, body...)))
	}))
	l.handler.Handle("/short", any, mux.HandlerFunc(func(w mux.ResponseWriter, r *mux.Message) {
		l.served.Add(1)
		body, _ := r.ReadBody()
		_ = w.SetResponse(codes.Changed, message.TextPlain, bytes.NewReader(fmt.Appendf(nil, "%d", len(body))))
	}))
	l.handler.Handle("/shelf", any, mux.HandlerFunc(func(w mux.ResponseWriter, r *mux.Message) {
		l.served.Add(1)
		l.mu.Lock()
		defer l.mu.Unlock()
		_ = w.SetResponse(codes.Content, message.TextPlain, bytes.NewReader(l.shelf))
	}))
	fl := newFleet(t)
	gs, gc := fl.member("s", nil, nil), fl.member("c", nil, nil)
	cs, ss := oscorePair(t, "cli", "srv", nil)
	ctxs := &endpoint.Contexts{}
	ctxs.AddGroup(gs, endpoint.GroupOptions{})
	if err := ctxs.AddOSCORE(ss, nil, nil); err != nil {
		t.Fatal(err)
	}
	l.secs = map[string]endpoint.Protector{
		"plain": nil, "oscore": endpoint.WithOSCORE(cs), "pairwise": endpoint.WithPairwise(gc, []byte("s")), "group": endpoint.WithGroup(gc),
	}
	sc.Network, sc.Unicast, sc.Handler, sc.Meter, sc.Openers = l.net, serverAddr, l.handler, l.meter, []endpoint.RequestOpener{ctxs}
	cc.Network, cc.Unicast, cc.Meter = l.net, clientAddr, l.cmeter
	l.server, l.client = start(t, sc), start(t, cc)
	f(t, l)
}

func (l *library) do(code codes.Code, path, sec string, body []byte, opts ...message.Option) (*endpoint.Response, error) {
	return l.client.Do(context.Background(), endpoint.Request{To: serverAddr, Code: code, Path: path, Security: l.secs[sec], Payload: body, Options: opts})
}

func (l *library) mustDo(code codes.Code, path, sec string, body []byte, opts ...message.Option) *endpoint.Response {
	l.t.Helper()
	resp, err := l.do(code, path, sec, body, opts...)
	if err != nil {
		l.t.Fatalf("%s %s %s: %v", coapmsg.CodeString(code), path, sec, err)
	}
	return resp
}

var open = endpoint.Config{InsecureAmplification: true}

func TestBlockwise(t *testing.T) {
	methods := []codes.Code{codes.GET, codes.POST, codes.PUT, codes.DELETE, coapmsg.FETCH, coapmsg.PATCH, coapmsg.IPATCH}
	for _, sec := range []string{"plain", "oscore", "pairwise", "group"} {
		t.Run("O13,OS-4.1.3.4.1-1,OS-4.1.3.4.1-2 all methods carry long bodies both ways: "+sec, func(t *testing.T) {
			inLibrary(t, netsim.Config{Delay: 5 * time.Millisecond}, open, endpoint.Config{}, func(t *testing.T, l *library) {
				for _, m := range methods {
					for _, n := range []int{0, 1, 1023, 1024, 1025, 2048, 5000} {
						before := l.served.Load()
						resp := l.mustDo(m, "echo", sec, text(n))
						if resp.Code != codes.Content || !bytes.Equal(resp.Payload, append([]byte{byte(m)}, text(n)...)) {
							t.Fatalf("%d, %d bytes: %v, %d bytes", m, n, resp.Code, len(resp.Payload))
						}
						if l.served.Load() != before+1 {
							t.Fatalf("%d, %d bytes: served %d times", m, n, l.served.Load()-before)
						}
						for _, o := range append(resp.Options, l.seen...) {
							switch o.ID {
							case message.Block1, message.Block2, message.Size1, message.Size2:
								if n > 1024 && o.ID == message.Block1 {
									continue // says how the request was taken
								}
								t.Fatalf("%d, %d bytes: option %d is left", m, n, o.ID)
							}
						}
					}
				}
			})
		})
	}
	t.Run("a small block size of either side holds for both directions", func(t *testing.T) {
		for _, c := range [][2]int{{64, 1024}, {1024, 64}, {16, 32}} {
			sc, cc := open, endpoint.Config{BlockSize: c[1]}
			sc.BlockSize = c[0]
			inLibrary(t, netsim.Config{}, sc, cc, func(t *testing.T, l *library) {
				small := min(c[0], c[1])
				big := 0
				n := 0
				l.net.SetFilter(func(p netsim.Packet) netsim.Verdict {
					// The first block says what the client can do.
					if m, err := coapmsg.ParseDatagram(p.Data); err == nil && n > 0 {
						big = max(big, len(m.Payload))
					}
					n++
					return netsim.Verdict{}
				})
				for _, m := range []codes.Code{codes.POST, coapmsg.FETCH} {
					n = 0
					if resp := l.mustDo(m, "echo", "plain", text(1500)); !bytes.Equal(resp.Payload[1:], text(1500)) {
						t.Fatal(len(resp.Payload))
					}
				}
				if big > small {
					t.Fatalf("payload of %d bytes with blocks of %d", big, small)
				}
			})
		}
	})
	t.Run("bodies survive loss, duplication and reordering, whole and served once", func(t *testing.T) {
		for seed := range uint64(6) {
			nc := netsim.Config{Seed: seed, Loss: 0.15, Duplicate: 0.15, Delay: 20 * time.Millisecond, Jitter: 300 * time.Millisecond}
			inLibrary(t, nc, open, endpoint.Config{}, func(t *testing.T, l *library) {
				for i, sec := range []string{"plain", "oscore", "group"} {
					resp := l.mustDo(codes.POST, "echo", sec, text(4000))
					if !bytes.Equal(resp.Payload[1:], text(4000)) || l.served.Load() != int64(i+1) {
						t.Fatalf("seed %d %s: %d bytes, served %d times", seed, sec, len(resp.Payload), l.served.Load())
					}
				}
			})
		}
	})
	t.Run("bodies of concurrent requests to one resource are not mixed up", func(t *testing.T) {
		inLibrary(t, netsim.Config{Delay: time.Millisecond, Jitter: 20 * time.Millisecond}, open, endpoint.Config{NSTART: 16}, func(t *testing.T, l *library) {
			var wg sync.WaitGroup
			for i := range 12 {
				wg.Go(func() {
					body := bytes.Repeat([]byte{byte('a' + i)}, 3000+i*100)
					m := []codes.Code{codes.POST, coapmsg.FETCH}[i%2]
					if resp := l.mustDo(m, "echo", "oscore", body); !bytes.Equal(resp.Payload[1:], body) {
						t.Errorf("%d: %d bytes", i, len(resp.Payload))
					}
				})
			}
			wg.Wait()
		})
	})
	t.Run("short FETCH requests with long answers do not get those of each other", func(t *testing.T) {
		inLibrary(t, netsim.Config{Delay: time.Millisecond, Jitter: 5 * time.Millisecond}, open, endpoint.Config{NSTART: 8, BlockSize: 64}, func(t *testing.T, l *library) {
			var wg sync.WaitGroup
			for i := range 8 {
				wg.Go(func() {
					body := bytes.Repeat([]byte{byte('a' + i)}, 60)
					resp, err := l.client.Do(context.Background(), endpoint.Request{
						To: serverAddr, Code: coapmsg.FETCH, Path: "echo", Payload: body, Security: l.secs["oscore"],
						Options: message.Options{{ID: message.Block2, Value: []byte{0}}},
					})
					if err != nil || !bytes.Equal(resp.Payload[1:], body) {
						t.Errorf("%d: %v %v", i, resp, err)
					}
				})
			}
			wg.Wait()
		})
	})
	t.Run("a representation that changes during the transfer is fetched anew", func(t *testing.T) {
		// No room to keep bodies: each block is cut from a new answer.
		sc := open
		sc.BlockBytes = 16
		inLibrary(t, netsim.Config{Delay: time.Millisecond}, sc, endpoint.Config{}, func(t *testing.T, l *library) {
			n := 0
			l.net.SetFilter(func(p netsim.Packet) netsim.Verdict {
				if p.To == serverAddr {
					if n++; n == 3 {
						go l.put(bytes.Repeat([]byte("new "), 1500))
					}
				}
				return netsim.Verdict{}
			})
			resp := l.mustDo(codes.GET, "shelf", "oscore", nil)
			if !bytes.Equal(resp.Payload, bytes.Repeat([]byte("new "), 1500)) {
				t.Fatalf("%.20s… %d bytes", resp.Payload, len(resp.Payload))
			}
		})
	})
	t.Run("one that always changes is given up", func(t *testing.T) {
		sc := open
		sc.BlockBytes = 16
		inLibrary(t, netsim.Config{}, sc, endpoint.Config{}, func(t *testing.T, l *library) {
			i := 0
			l.net.SetFilter(func(p netsim.Packet) netsim.Verdict {
				i++
				l.put(bytes.Repeat([]byte{byte(i)}, 3000))
				return netsim.Verdict{}
			})
			if _, err := l.do(codes.GET, "shelf", "plain", nil); !errors.Is(err, endpoint.ErrBlock) {
				t.Fatal(err)
			}
			if l.cmeter.Get(endpoint.DropBlock) == 0 {
				t.Fatal("not counted")
			}
		})
	})
	t.Run("a body longer than allowed is 4.13 with Size1 for a server and an error for a client", func(t *testing.T) {
		sc := open
		sc.MaxBody = 4000
		inLibrary(t, netsim.Config{}, sc, endpoint.Config{MaxBody: 4900}, func(t *testing.T, l *library) {
			resp := l.mustDo(codes.PUT, "short", "oscore", text(4001))
			size, _ := coapmsg.Get(resp.Options, message.Size1)
			if n, _ := coapmsg.DecodeUint(size); resp.Code != codes.RequestEntityTooLarge || n != 4000 || l.served.Load() != 0 {
				t.Fatalf("%v %d", resp.Code, n)
			}
			if resp := l.mustDo(codes.PUT, "short", "oscore", text(4000)); string(resp.Payload) != "4000" {
				t.Fatalf("%+v", resp)
			}
			if _, err := l.do(codes.GET, "shelf", "oscore", nil); !errors.Is(err, endpoint.ErrBlock) {
				t.Fatal(err)
			}
		})
	})
	t.Run("a server that lost the first blocks gets the body once more", func(t *testing.T) {
		inLibrary(t, netsim.Config{Delay: 500 * time.Millisecond}, open, endpoint.Config{}, func(t *testing.T, l *library) {
			time.AfterFunc(2500*time.Millisecond, func() {
				l.server.Close()
				l.server = start(t, endpoint.Config{Network: l.net, Unicast: serverAddr, Handler: l.handler})
			})
			if resp := l.mustDo(codes.PUT, "short", "plain", text(4000)); string(resp.Payload) != "4000" || l.served.Load() != 1 {
				t.Fatalf("%+v", resp)
			}
		})
	})
	t.Run("single blocks by hand", func(t *testing.T) {
		inLibrary(t, netsim.Config{}, open, endpoint.Config{}, func(t *testing.T, l *library) {
			resp := l.mustDo(codes.GET, "shelf", "oscore", nil, message.Option{ID: message.Block2, Value: []byte{0x12}}) // block 1 of 64 bytes
			if !bytes.Equal(resp.Payload, text(5000)[64:128]) || !coapmsg.Has(resp.Options, message.Block2) {
				t.Fatalf("%+v", resp)
			}
			resp = l.mustDo(codes.GET, "shelf", "oscore", nil, message.Option{ID: message.Block2, Value: []byte{0xff, 0xf6}})
			if resp.Code != codes.BadRequest {
				t.Fatalf("beyond the end: %v", resp.Code)
			}
		})
	})
	t.Run("NON requests, a deadline, and a silent server", func(t *testing.T) {
		inLibrary(t, netsim.Config{Delay: time.Millisecond}, open, endpoint.Config{}, func(t *testing.T, l *library) {
			resp, err := l.client.Do(context.Background(), endpoint.Request{
				To: serverAddr, Code: codes.POST, Path: "echo", Payload: text(3000), Security: l.secs["oscore"], Confirmable: ptr(false),
			})
			if err != nil || !bytes.Equal(resp.Payload[1:], text(3000)) {
				t.Fatal(err)
			}
			n := 0
			l.net.SetFilter(func(p netsim.Packet) netsim.Verdict {
				n++
				return netsim.Verdict{Drop: n > 5}
			})
			ctx, cancel := within(10 * time.Second)
			defer cancel()
			_, err = l.client.Do(ctx, endpoint.Request{To: serverAddr, Code: codes.POST, Path: "echo", Payload: text(9000), Security: l.secs["oscore"]})
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Fatal(err)
			}
		})
	})
}
