package endpoint_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/internal/netsim"
)

func TestObserveRenewal(t *testing.T) {
	delay := netsim.Config{Delay: 10 * time.Millisecond}
	maxAge := func(o *observatory, seconds byte) {
		o.opts = []message.Option{{ID: message.MaxAge, Value: []byte{seconds}}}
	}
	// registrations counts the requests with Observe 0 and their tokens.
	registrations := func(o *observatory) (n *int, tokens map[string]bool) {
		n, tokens = new(int), map[string]bool{}
		o.net.SetFilter(func(p netsim.Packet) netsim.Verdict {
			if m, err := coapmsg.ParseDatagram(bytes.Clone(p.Data)); err == nil && p.To == serverAddr && coapmsg.IsRequest(m.Code) {
				if v, ok := coapmsg.Get(m.Options, message.Observe); ok && len(v) == 0 {
					*n++
					tokens[string(m.Token)] = true
				}
			}
			return netsim.Verdict{}
		})
		return n, tokens
	}
	for _, sec := range []string{"plain", "oscore", "pairwise"} {
		t.Run("OS-7.3-1,OS-4.1.3.5.1-2 the registration is renewed after Max-Age, with the same token: "+sec, func(t *testing.T) {
			inObservatory(t, delay, open, endpoint.Config{}, func(t *testing.T, o *observatory) {
				maxAge(o, 30)
				n, tokens := registrations(o)
				w := o.watch(codes.GET, sec, "")
				w.want("0")
				pass(200 * time.Second) // each time after 35 to 45 s
				if *n < 5 || *n > 6 || len(tokens) != 1 || o.server.Observers() != 1 {
					t.Fatalf("%d registrations, %d tokens, %d observers", *n, len(tokens), o.server.Observers())
				}
				for len(w.ch) > 0 {
					w.want("0")
				}
				o.change("1")
				w.want("1")
				w.stop()
				pass(time.Second)
				if o.server.Observers() != 0 {
					t.Fatal("not canceled")
				}
			})
		})
	}
	t.Run("notifications put it off, but not for ever", func(t *testing.T) {
		inObservatory(t, delay, open, endpoint.Config{}, func(t *testing.T, o *observatory) {
			maxAge(o, 30)
			n, _ := registrations(o)
			w := o.watch(codes.GET, "oscore", "")
			w.want("0")
			for i := range 360 { // an hour and a half
				pass(15 * time.Second)
				o.change(fmt.Sprint(i))
			}
			if *n != 2 {
				t.Fatalf("%d registrations", *n)
			}
		})
	})
	t.Run("OS-B.1.3-1 a server that forgot the observation gets it again", func(t *testing.T) {
		inObservatory(t, delay, open, endpoint.Config{}, func(t *testing.T, o *observatory) {
			maxAge(o, 30)
			w := o.watch(codes.GET, "plain", "")
			w.want("0")
			o.server.Close()
			o.server = start(t, endpoint.Config{Network: o.net, Unicast: serverAddr, Handler: o.handler, InsecureAmplification: true})
			o.change("1")
			pass(60 * time.Second)
			w.want("1")
			o.change("2")
			w.want("2")
		})
	})
	t.Run("a server that does not answer any more is asked ever more rarely, and said to be stale", func(t *testing.T) {
		inObservatory(t, delay, open, endpoint.Config{}, func(t *testing.T, o *observatory) {
			maxAge(o, 30)
			w := o.watch(codes.GET, "oscore", "")
			w.want("0")
			o.net.SetFilter(func(netsim.Packet) netsim.Verdict { return netsim.Verdict{Drop: true} })
			s := w.next(5 * time.Minute)
			if !errors.Is(s.err, endpoint.ErrStale) || !errors.Is(s.err, endpoint.ErrTimeout) {
				t.Fatalf("%+v", s)
			}
			pass(2 * time.Hour)
			if n := len(w.ch); n < 5 || n > 20 {
				t.Fatalf("%d attempts in two hours", n)
			}
			for len(w.ch) > 0 {
				<-w.ch
			}
			o.net.SetFilter(nil)
			o.set("back")
			for {
				if s := w.next(15 * time.Minute); s.err == nil {
					if string(s.resp.Payload) != "back" {
						t.Fatalf("%+v", s.resp)
					}
					break
				}
			}
		})
	})
	t.Run("a first registration that fails is the end", func(t *testing.T) {
		inObservatory(t, delay, open, endpoint.Config{}, func(t *testing.T, o *observatory) {
			for _, c := range []struct {
				to  netip.AddrPort
				err error
			}{{otherAddr, endpoint.ErrTimeout}, {lampAddr(1), endpoint.ErrReset}} {
				if c.err == endpoint.ErrReset {
					rst := listenRaw(t, o.net, lampAddr(1))
					go func() {
						if m := rst.next(time.Minute); m != nil {
							rst.send(clientAddr, []byte{0x70, 0, m[2], m[3]})
						}
					}()
				}
				for resp, err := range o.client.Observe(context.Background(), endpoint.Request{To: c.to, Code: codes.GET, Path: "gauge"}) {
					if resp != nil || !errors.Is(err, c.err) {
						t.Fatalf("%+v %v", resp, err)
					}
				}
			}
			if endpoint.Exchanges(o.client) != 0 {
				t.Fatal("something is left")
			}
		})
	})
	t.Run("closing the endpoint ends observations", func(t *testing.T) {
		inObservatory(t, delay, open, endpoint.Config{}, func(t *testing.T, o *observatory) {
			w := o.watch(codes.GET, "oscore", "")
			w.want("0")
			o.client.Close()
			if s := w.next(time.Second); !errors.Is(s.err, endpoint.ErrClosed) {
				t.Fatalf("%+v", s)
			}
		})
	})
}

func TestObserveLossyNetwork(t *testing.T) {
	for seed := range uint64(4) {
		for _, sec := range []string{"plain", "oscore", "group"} {
			t.Run(fmt.Sprintf("states only get newer and the last one arrives: %s, %d", sec, seed), func(t *testing.T) {
				nc := netsim.Config{Seed: seed, Loss: 0.2, Duplicate: 0.2, Delay: 20 * time.Millisecond, Jitter: 500 * time.Millisecond}
				inObservatory(t, nc, open, endpoint.Config{}, func(t *testing.T, o *observatory) {
					o.set("00000")
					w := o.watch(codes.GET, sec, "")
					w.next(3 * time.Minute)
					for i := range 50 {
						o.change(fmt.Sprintf("%05d", i+1))
						pass(3 * time.Second)
					}
					pass(5 * time.Minute) // Max-Age is over by then
					last := "00000"
					for len(w.ch) > 0 {
						s := <-w.ch
						if s.err != nil {
							continue
						}
						if string(s.resp.Payload) < last {
							t.Fatalf("%s after %s", s.resp.Payload, last)
						}
						last = string(s.resp.Payload)
					}
					if last != "00050" {
						t.Fatalf("the last is %s", last)
					}
				})
			})
		}
	}
}
