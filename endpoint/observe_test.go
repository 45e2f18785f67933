package endpoint_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/mux"

	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/internal/netsim"
)

// gauge is a resource with a state that can be observed.
type gauge struct {
	mu    sync.Mutex
	state string
	code  codes.Code // 0: 2.05
	opts  []message.Option
	runs  int
	again int // for notifications
}

func (g *gauge) ServeCOAP(w mux.ResponseWriter, r *mux.Message) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.runs++
	if endpoint.IsNotification(r.Context()) {
		g.again++
	}
	if g.code != 0 {
		_ = w.SetResponse(g.code, 0, nil)
		return
	}
	body, _ := r.ReadBody()
	_ = w.SetResponse(codes.Content, message.TextPlain, bytes.NewReader([]byte(g.state+string(body))), g.opts...)
}

func (g *gauge) set(s string) {
	g.mu.Lock()
	g.state = s
	g.mu.Unlock()
}

// observatory is a library with a gauge at /gauge.
type observatory struct {
	*library
	*gauge
}

func inObservatory(t *testing.T, nc netsim.Config, sc, cc endpoint.Config, f func(t *testing.T, o *observatory)) {
	t.Helper()
	inLibrary(t, nc, sc, cc, func(t *testing.T, l *library) {
		o := &observatory{library: l, gauge: &gauge{state: "0"}}
		any := endpoint.AcceptPlain | endpoint.AcceptOSCORE | endpoint.AcceptPairwise | endpoint.AcceptGroup
		l.handler.Handle("/gauge", any, endpoint.Observable(o.gauge))
		f(t, o)
	})
}

// change sets a new state and tells the observers.
func (o *observatory) change(s string) {
	o.set(s)
	o.server.Notify("/gauge")
}

// seen is one thing that Observe yielded.
type seen struct {
	resp *endpoint.Response
	err  error
}

// watcher runs an observation in the background.
type watcher struct {
	t      *testing.T
	ch     chan seen
	cancel context.CancelFunc
	done   chan struct{}
}

func watch(t *testing.T, e *endpoint.Endpoint, r endpoint.Request) *watcher {
	ctx, cancel := context.WithCancel(context.Background())
	w := &watcher{t: t, ch: make(chan seen, 1000), cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(w.done)
		for resp, err := range e.Observe(ctx, r) {
			w.ch <- seen{resp, err}
		}
	}()
	t.Cleanup(func() { cancel(); <-w.done })
	return w
}

func (w *watcher) stop() {
	w.cancel()
	<-w.done
}

func (w *watcher) next(d time.Duration) seen {
	w.t.Helper()
	select {
	case s := <-w.ch:
		return s
	case <-time.After(d):
		w.t.Fatalf("nothing observed in %v", d)
		return seen{}
	}
}

// want waits for a state.
func (w *watcher) want(state string) *endpoint.Response {
	w.t.Helper()
	s := w.next(10 * time.Second)
	if s.err != nil || string(s.resp.Payload) != state {
		w.t.Fatalf("%+v %v, want %q", s.resp, s.err, state)
	}
	return s.resp
}

func (w *watcher) nothing(d time.Duration) {
	w.t.Helper()
	select {
	case s := <-w.ch:
		w.t.Fatalf("%+v %v", s.resp, s.err)
	case <-time.After(d):
	}
}

func (o *observatory) watch(code codes.Code, sec string, payload string) *watcher {
	return watch(o.t, o.client, endpoint.Request{To: serverAddr, Code: code, Path: "gauge", Security: o.secs[sec], Payload: []byte(payload)})
}

func TestObserve(t *testing.T) {
	delay := netsim.Config{Delay: 10 * time.Millisecond}
	for _, sec := range []string{"plain", "oscore", "pairwise", "group"} {
		for _, m := range []codes.Code{codes.GET, coapmsg.FETCH} {
			t.Run(fmt.Sprintf("O20 register, be notified, cancel: %s, method %d", sec, m), func(t *testing.T) {
				inObservatory(t, delay, open, endpoint.Config{}, func(t *testing.T, o *observatory) {
					suffix := ""
					if m == coapmsg.FETCH {
						suffix = "!"
					}
					w := o.watch(m, sec, suffix)
					w.want("0" + suffix)
					for i := range 5 {
						s := fmt.Sprint("state ", i)
						o.change(s)
						r := w.want(s + suffix)
						if !coapmsg.Has(r.Options, message.Observe) {
							t.Fatalf("%+v", r)
						}
					}
					if n := o.server.Observers(); n != 1 {
						t.Fatalf("%d observers", n)
					}
					var last message.Message
					o.net.SetFilter(func(p netsim.Packet) netsim.Verdict {
						if m, err := coapmsg.ParseDatagram(bytes.Clone(p.Data)); err == nil && p.To == serverAddr && m.Code != 0 {
							last = m
						}
						return netsim.Verdict{}
					})
					w.stop()
					pass(time.Second)
					if n := o.server.Observers(); n != 0 {
						t.Fatalf("%d observers after the end", n)
					}
					if v, _ := coapmsg.Get(last.Options, message.Observe); !bytes.Equal(v, []byte{1}) || sec == "plain" && last.Code != m {
						t.Fatalf("canceled by %+v", last)
					}
					if endpoint.Exchanges(o.client) != 0 || endpoint.Pending(o.server) != 0 || endpoint.Pending(o.client) != 0 {
						t.Fatal("something is left")
					}
				})
			})
		}
	}
	t.Run("the caller may stop at any time, and a deadline ends the observation without error", func(t *testing.T) {
		inObservatory(t, delay, open, endpoint.Config{}, func(t *testing.T, o *observatory) {
			r := endpoint.Request{To: serverAddr, Code: codes.GET, Path: "gauge", Security: o.secs["oscore"]}
			for range o.client.Observe(context.Background(), r) {
				break
			}
			ctx, cancel := within(time.Second)
			defer cancel()
			n := 0
			for _, err := range o.client.Observe(ctx, r) {
				if n++; err != nil {
					t.Fatal(err)
				}
			}
			pass(time.Second)
			if n != 1 || o.server.Observers() != 0 {
				t.Fatal(n, o.server.Observers())
			}
		})
	})
	t.Run("a slow caller gets the newest state only", func(t *testing.T) {
		inObservatory(t, delay, open, endpoint.Config{}, func(t *testing.T, o *observatory) {
			var got []string
			for r, err := range o.client.Observe(context.Background(), endpoint.Request{To: serverAddr, Code: codes.GET, Path: "gauge", Security: o.secs["oscore"]}) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, string(r.Payload))
				if len(got) == 2 {
					break
				}
				for i := range 20 {
					o.change(fmt.Sprint(i))
					pass(time.Second)
				}
			}
			if got[0] != "0" || got[1] != "19" {
				t.Fatal(got)
			}
		})
	})
	t.Run("changes in quick succession make few notifications, the last of the newest state", func(t *testing.T) {
		inObservatory(t, netsim.Config{Delay: 200 * time.Millisecond}, open, endpoint.Config{}, func(t *testing.T, o *observatory) {
			w := o.watch(codes.GET, "oscore", "")
			w.want("0")
			for i := range 1000 {
				o.change(fmt.Sprint(i))
				pass(time.Millisecond)
			}
			pass(5 * time.Second)
			n := len(w.ch)
			var last seen
			for range n {
				last = <-w.ch
			}
			if n > 5 || string(last.resp.Payload) != "999" {
				t.Fatalf("%d notifications, the last %s", n, last.resp.Payload)
			}
		})
	})
	t.Run("long representations are fetched whole, and the newest wins", func(t *testing.T) {
		for _, sec := range []string{"plain", "oscore", "pairwise"} {
			inObservatory(t, delay, open, endpoint.Config{NSTART: 2}, func(t *testing.T, o *observatory) {
				o.set(string(text(3000)))
				w := o.watch(codes.GET, sec, "")
				w.want(string(text(3000)))
				o.change(string(text(5000)))
				w.want(string(text(5000)))
				o.change(string(text(20000)))
				pass(100 * time.Millisecond) // in the middle of the blocks
				o.change("short")
				w.want("short")
				w.nothing(10 * time.Second)
			})
		}
	})
	t.Run("a resource that cannot be observed is fetched once", func(t *testing.T) {
		inObservatory(t, delay, open, endpoint.Config{}, func(t *testing.T, o *observatory) {
			w := watch(t, o.client, endpoint.Request{To: serverAddr, Code: codes.GET, Path: "shelf", Security: o.secs["oscore"]})
			w.want(string(text(5000)))
			if s := w.next(time.Second); !errors.Is(s.err, endpoint.ErrObservationEnded) {
				t.Fatalf("%+v", s)
			}
			<-w.done
		})
	})
	t.Run("OS-4.1.3.5.2-1 an error ends the observation on both sides", func(t *testing.T) {
		inObservatory(t, delay, open, endpoint.Config{}, func(t *testing.T, o *observatory) {
			w := o.watch(codes.GET, "oscore", "")
			w.want("0")
			o.gauge.mu.Lock()
			o.code = codes.NotFound
			o.gauge.mu.Unlock()
			o.server.Notify("/gauge")
			if s := w.next(time.Second); s.resp.Code != codes.NotFound {
				t.Fatalf("%+v", s)
			}
			if s := w.next(time.Second); !errors.Is(s.err, endpoint.ErrObservationEnded) {
				t.Fatalf("%+v", s)
			}
			<-w.done
			pass(time.Second)
			if o.server.Observers() != 0 || endpoint.Exchanges(o.client) != 0 || endpoint.Pending(o.server) != 0 {
				t.Fatal("something is left")
			}
		})
	})
	t.Run("a payload for each observer may be given, and none, and the end", func(t *testing.T) {
		inObservatory(t, delay, open, endpoint.Config{}, func(t *testing.T, o *observatory) {
			w := o.watch(codes.GET, "oscore", "")
			w.want("0")
			note := func(n endpoint.Notification, ok bool) {
				o.server.NotifyFunc("/gauge", func(p endpoint.Peer) (endpoint.Notification, bool) {
					if string(p.SenderID) != "cli" {
						t.Errorf("%+v", p)
					}
					return n, ok
				})
			}
			note(endpoint.Notification{Code: codes.Content, Payload: []byte("given")}, true)
			w.want("given")
			note(endpoint.Notification{}, false)
			w.nothing(5 * time.Second)
			note(endpoint.Notification{Code: codes.Content, Payload: []byte("last"), Final: true}, true)
			w.want("last")
			if s := w.next(time.Second); !errors.Is(s.err, endpoint.ErrObservationEnded) {
				t.Fatalf("%+v", s)
			}
		})
	})
	t.Run("another Content-Format ends it with 4.06", func(t *testing.T) {
		inObservatory(t, delay, open, endpoint.Config{}, func(t *testing.T, o *observatory) {
			w := o.watch(codes.GET, "plain", "")
			w.want("0")
			note := func(format byte) {
				o.server.NotifyFunc("/gauge", func(endpoint.Peer) (endpoint.Notification, bool) {
					return endpoint.Notification{Code: codes.Content, Options: message.Options{{ID: message.ContentFormat, Value: []byte{format}}}}, true
				})
			}
			note(0)
			w.want("")
			note(50)
			if s := w.next(time.Second); s.resp.Code != codes.NotAcceptable {
				t.Fatalf("%+v", s)
			}
		})
	})
	t.Run("only what can observe observes", func(t *testing.T) {
		inObservatory(t, delay, open, endpoint.Config{}, func(t *testing.T, o *observatory) {
			for _, r := range []endpoint.Request{
				{To: serverAddr, Code: codes.POST, Path: "gauge"},
				{To: groupAddr, Code: codes.GET, Path: "gauge"},
				{Code: codes.GET, Path: "gauge"},
				{To: serverAddr, Code: codes.GET, Path: "gauge", Payload: text(2000)},
			} {
				for resp, err := range o.client.Observe(context.Background(), r) {
					if resp != nil || err == nil {
						t.Fatalf("%+v %v", resp, err)
					}
				}
			}
			o.mustDo(codes.POST, "gauge", "plain", nil, message.Option{ID: message.Observe})
			if o.server.Observers() != 0 {
				t.Fatal("observed")
			}
		})
	})
}
