package member_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/member"
)

// watch observes /light and keeps the newest state of each member.
func (d *device) watch(ctx context.Context, group string, to *member.Peer) <-chan *member.Answer {
	ch := make(chan *member.Answer, 64)
	go func() {
		defer close(ch)
		for a, err := range d.of(group).Observe(ctx, member.Request{Code: codes.GET, Path: "/light"}, to) {
			if err == nil {
				ch <- a
			}
		}
	}()
	return ch
}

// newest takes what came within d.
func newest(ch <-chan *member.Answer, d time.Duration) map[string]*member.Answer {
	time.Sleep(d)
	got := map[string]*member.Answer{}
	for len(ch) > 0 {
		a := <-ch
		got[a.Sender.Name] = a
	}
	return got
}

// change sets the value of a lamp's resource.
func (d *device) change(value string) {
	d.light.mu.Lock()
	d.light.value = value
	d.light.mu.Unlock()
	d.Notify("/light")
}

func TestObserve(t *testing.T) {
	t.Run("GC-3.7-1 the whole group, over a rekeying", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			sw, l := w.hall(nil, "lamp-1", "lamp-2")
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			ch := sw.watch(ctx, "hall", nil)
			if got := newest(ch, 10*time.Second); len(got) != 2 || string(got["lamp-1"].Payload) != "off" || got["lamp-1"].Mode != endpoint.GroupMode {
				t.Fatalf("%+v", got)
			}
			l[1].change("dim")
			if got := newest(ch, 10*time.Second); len(got) != 1 || string(got["lamp-2"].Payload) != "dim" {
				t.Errorf("%+v", got)
			}
			w.rekey("hall")
			sw.await(member.EventRekeyed, 1)
			l[0].await(member.EventRekeyed, 1)
			time.Sleep(10 * time.Second) // nothing is taken under the former keys any more
			l[0].change("on")
			if got := newest(ch, 10*time.Second); got["lamp-1"] == nil || string(got["lamp-1"].Payload) != "on" || got["lamp-1"].Version != w.version("hall") {
				t.Errorf("%+v", got)
			}
			cancel()
			for range ch {
			}
			time.Sleep(time.Minute)
			if n := l[0].Notify("/light"); n != 0 {
				t.Errorf("%d observers are left", n)
			}
		})
	})
	t.Run("one member, in pairwise mode", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			sw, l := w.hall(nil, "lamp-1", "lamp-2")
			p, err := sw.of("hall").FindPeer("lamp-1")
			w.check(err)
			p.Addr = l[0].addr
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			ch := sw.watch(ctx, "hall", &p)
			newest(ch, 5*time.Second)
			l[1].change("dim")
			l[0].change("on")
			if got := newest(ch, 5*time.Second); len(got) != 1 || string(got["lamp-1"].Payload) != "on" || got["lamp-1"].Mode != endpoint.PairwiseMode {
				t.Errorf("%+v", got)
			}
			cancel()
			for range ch {
			}
			time.Sleep(time.Minute)
		})
	})
	t.Run("what cannot be observed", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			sw, l := w.hall(nil, "lamp-1")
			for name, c := range map[string]struct {
				d    *device
				r    member.Request
				to   *member.Peer
				want error
			}{
				"by a responder": {l[0], member.Request{Code: codes.GET, Path: "/light"}, nil, member.ErrRole},
				"with a PUT":     {sw, member.Request{Code: codes.PUT, Path: "/light"}, nil, endpoint.ErrRequest},
				"nobody":         {sw, member.Request{Code: codes.GET, Path: "/light"}, &member.Peer{SenderID: []byte{77}}, member.ErrUnknownPeer},
			} {
				n := 0
				for _, err := range c.d.of("hall").Observe(t.Context(), c.r, c.to) {
					n++
					if !errors.Is(err, c.want) {
						t.Errorf("%s: %v", name, err)
					}
				}
				if n != 1 {
					t.Errorf("%s: %d results", name, n)
				}
			}
		})
	})
}
