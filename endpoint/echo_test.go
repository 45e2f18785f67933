package endpoint_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/internal/netsim"
)

func TestEcho(t *testing.T) {
	ask := func(w *world, opts ...message.Option) message.Message {
		w.peer.send(serverAddr, w.protected(con, 1+int32(w.mine.seq.Load()), "a", opts...))
		return w.opened(w.peer.nextMessage(time.Second))
	}
	challenge := func(w *world) message.Option {
		w.sec.invalid.Store(true)
		m := ask(w)
		v, ok := coapmsg.Get(m.Options, coapmsg.Echo)
		if m.Code != codes.Unauthorized || !ok || len(m.Options) != 1 || len(m.Payload) != 0 {
			w.t.Fatalf("%+v", m)
		}
		return message.Option{ID: coapmsg.Echo, Value: v}
	}
	t.Run("OS-B.1.2-1 a request under a lost window gets a protected 4.01 with nothing but Echo", func(t *testing.T) {
		inWorld(t, endpoint.Config{}, func(t *testing.T, w *world) {
			challenge(w)
			if w.res.runs.Load() != 0 {
				t.Fatal("served")
			}
		})
	})
	t.Run("the right value is served, once", func(t *testing.T) {
		inWorld(t, endpoint.Config{}, func(t *testing.T, w *world) {
			echo := challenge(w)
			if m := ask(w, echo); m.Code != codes.Content {
				t.Fatalf("%+v", m)
			}
			w.sec.invalid.Store(true)
			if m := ask(w, echo); m.Code != codes.Unauthorized {
				t.Fatalf("a used value was taken: %+v", m)
			}
		})
	})
	t.Run("values that are late, forged or of another peer are challenged again", func(t *testing.T) {
		inWorld(t, endpoint.Config{}, func(t *testing.T, w *world) {
			echo := challenge(w)
			forged := message.Option{ID: coapmsg.Echo, Value: append([]byte{}, echo.Value...)}
			forged.Value[3] ^= 1
			short := message.Option{ID: coapmsg.Echo, Value: []byte{1}}
			for _, o := range []message.Option{forged, short} {
				if m := ask(w, o); m.Code != codes.Unauthorized {
					t.Fatalf("%+v", m)
				}
			}
			w.mine.id = 3
			if m := ask(w, echo); m.Code != codes.Unauthorized {
				t.Fatal("value of another sender was taken")
			}
			w.mine.id = 2
			other := listenRaw(t, w.net, otherAddr)
			other.send(serverAddr, w.protected(con, 90, "a", echo))
			if m := w.opened(other.nextMessage(time.Second)); m.Code != codes.Unauthorized {
				t.Fatal("value of another address was taken")
			}
			time.Sleep(61 * time.Second)
			if m := ask(w, echo); m.Code != codes.Unauthorized {
				t.Fatal("late value was taken")
			}
			if w.res.runs.Load() != 0 {
				t.Fatal("served")
			}
		})
	})
	t.Run("Do answers a challenge by itself, once", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n, res, sec, mine := netsim.New(netsim.Config{}), newResources(), &toy{id: 1}, &toy{id: 2}
			start(t, endpoint.Config{Network: n, Unicast: serverAddr, Handler: res, Openers: []endpoint.RequestOpener{sec}})
			client := start(t, endpoint.Config{Network: n, Unicast: clientAddr})
			sec.invalid.Store(true)
			resp, err := client.Do(context.Background(), endpoint.Request{To: serverAddr, Code: codes.POST, Path: "a", Security: mine})
			if err != nil || resp.Code != codes.Content || mine.seq.Load() != 2 {
				t.Fatalf("%+v %v", resp, err)
			}
		})
	})
}
