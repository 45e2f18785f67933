package endpoint_test

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// TestObserveLost is about connections that end while a registration is renewed in
// them: the observation goes on in another one (RFC 8323, Section 7.4).
func TestObserveLost(t *testing.T) {
	to := netip.MustParseAddrPort("10.0.0.9:5683")
	state := func(token message.Token, s string) message.Message {
		opts := message.Options{{ID: message.Observe}, {ID: message.MaxAge, Value: []byte{1}}}
		return message.Message{Code: codes.Content, Token: token, Options: opts, Payload: []byte(s)}
	}
	registration := func(t *testing.T, r *rawStream) message.Token {
		t.Helper()
		m := r.next(30 * time.Second)
		if v, ok := coapmsg.Get(m.Options, message.Observe); !ok || len(v) > 0 {
			t.Fatalf("%+v", m)
		}
		return m.Token
	}
	// observed runs f with an observation that a server has answered; its
	// n-th registration is held up.
	observed := func(t *testing.T, n int, f func(t *testing.T, l net.Listener, r *rawStream, token message.Token, w *watcher, h *held)) {
		inStreamWorld(t, endpoint.Config{}, func(t *testing.T, world *streamWorld) {
			l, err := world.net.ListenStream(to)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			h := hold(n)
			w := watch(t, world.server, endpoint.Request{To: to, Via: endpoint.ViaTCP, Code: codes.GET, Path: "x", Security: h})
			r := accepted(t, l)
			token := registration(t, r)
			r.put(state(token, "0"))
			w.want("0")
			f(t, l, r, token, w, h)
			w.stop()
			pass(5 * time.Minute)
			if n := endpoint.Exchanges(world.server); n != 0 {
				t.Fatalf("%d tokens are left", n)
			}
		})
	}
	// resumed answers the registration in another connection.
	resumed := func(t *testing.T, r *rawStream, before message.Token, w *watcher) {
		t.Helper()
		token := registration(t, r)
		if bytes.Equal(token, before) {
			t.Fatal("the same token in another connection")
		}
		for _, s := range []string{"1", "2"} {
			r.put(state(token, s))
			w.want(s)
		}
	}
	t.Run("while the answer is waited for", func(t *testing.T) {
		observed(t, 0, func(t *testing.T, l net.Listener, r *rawStream, token message.Token, w *watcher, _ *held) {
			registration(t, r)
			r.Close()
			resumed(t, accepted(t, l), token, w)
		})
	})
	t.Run("while it is being sent", func(t *testing.T) {
		observed(t, 2, func(t *testing.T, l net.Listener, r *rawStream, token message.Token, w *watcher, h *held) {
			<-h.reached
			r.Close()
			synctest.Wait()
			close(h.release)
			resumed(t, accepted(t, l), token, w)
		})
	})
	t.Run("and the next one, before it brought an answer", func(t *testing.T) {
		observed(t, 0, func(t *testing.T, l net.Listener, r *rawStream, _ message.Token, w *watcher, _ *held) {
			r.Close()
			r = accepted(t, l)
			token := registration(t, r)
			r.Close()
			if s := w.next(time.Second); !errors.Is(s.err, endpoint.ErrStale) || !errors.Is(s.err, endpoint.ErrConnection) {
				t.Fatalf("%+v", s)
			}
			resumed(t, accepted(t, l), token, w)
		})
	})
}
