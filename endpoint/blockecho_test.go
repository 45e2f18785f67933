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

// What else an option means when its message is one of several.
func TestBlockwiseOptions(t *testing.T) {
	// ask has a client ask a server made of single messages.
	ask := func(t *testing.T, r endpoint.Request, f func(t *testing.T, next func() message.Message, answer func(message.Message, codes.Code, []byte, ...message.Option))) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			n := netsim.New(netsim.Config{})
			server := listenRaw(t, n, serverAddr)
			client := start(t, endpoint.Config{Network: n, Unicast: clientAddr})
			done := make(chan error, 1)
			go func() {
				ctx, cancel := within(time.Minute)
				defer cancel()
				r.To = serverAddr
				_, err := client.Do(ctx, r)
				done <- err
			}()
			f(t, func() message.Message { return server.nextMessage(time.Second) }, func(req message.Message, code codes.Code, body []byte, opts ...message.Option) {
				m := message.Message{Type: message.Acknowledgement, MessageID: req.MessageID, Token: req.Token, Code: code, Payload: body}
				for _, o := range opts {
					m.Options = coapmsg.Insert(m.Options, o)
				}
				server.send(clientAddr, encode(t, m))
			})
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		})
	}
	echo := func(s string) message.Option { return message.Option{ID: coapmsg.Echo, Value: []byte(s)} }
	wantEcho := func(t *testing.T, m message.Message, want string) {
		t.Helper()
		if v, _ := coapmsg.Get(m.Options, coapmsg.Echo); string(v) != want {
			t.Fatalf("Echo %q, want %q", v, want)
		}
	}
	t.Run("RFC 9175, 2.3: the latest Echo value goes with the blocks of a request that follow", func(t *testing.T) {
		ask(t, endpoint.Request{Code: codes.PUT, Payload: text(4000)}, func(t *testing.T, next func() message.Message, answer func(message.Message, codes.Code, []byte, ...message.Option)) {
			m := next()
			wantEcho(t, m, "")
			answer(m, codes.Unauthorized, nil, echo("first"))
			for i, c := range []struct{ want, give string }{{"first", ""}, {"first", "second"}, {"second", ""}, {"second", ""}} {
				m = next()
				wantEcho(t, m, c.want)
				code, opts := codes.Continue, []message.Option{blockOption(message.Block1, uint32(i), i < 3, 6)}
				if i == 3 {
					code = codes.Changed
				}
				if c.give != "" {
					opts = append(opts, echo(c.give))
				}
				answer(m, code, nil, opts...)
			}
		})
	})
	t.Run("RFC 9175, 2.3: and with the requests for further blocks of a response", func(t *testing.T) {
		ask(t, endpoint.Request{Code: codes.GET}, func(t *testing.T, next func() message.Message, answer func(message.Message, codes.Code, []byte, ...message.Option)) {
			answer(next(), codes.Unauthorized, nil, echo("first"))
			for i, c := range []struct{ want, give string }{{"first", ""}, {"first", "second"}, {"second", ""}, {"second", ""}} {
				m := next()
				wantEcho(t, m, c.want)
				opts := []message.Option{blockOption(message.Block2, uint32(i), i < 3, 6)}
				if c.give != "" {
					opts = append(opts, echo(c.give))
				}
				answer(m, codes.Content, text(1024), opts...)
			}
		})
	})
	t.Run("RFC 7967: responses to all blocks but the last are wanted", func(t *testing.T) {
		inLibrary(t, netsim.Config{Delay: time.Millisecond}, open, endpoint.Config{}, func(t *testing.T, l *library) {
			for i, sec := range []string{"plain", "oscore", "group"} {
				resp := l.mustDo(codes.POST, "echo", sec, text(4000), message.Option{ID: coapmsg.NoResponse, Value: []byte{26}})
				if resp.Code != codes.Empty || l.served.Load() != int64(i)+1 {
					t.Fatalf("%s: %+v, served %d times", sec, resp, l.served.Load())
				}
			}
		})
	})
	t.Run("RFC 7959, 2.6: a request for a later block registers no observer", func(t *testing.T) {
		inNotices(t, open, func(t *testing.T, o *observatory, peer *raw) {
			o.gauge.set(string(bytes.Repeat([]byte("x"), 3000)))
			peer.send(serverAddr, get(t, con, 1, "gauge", message.Option{ID: message.Observe}, blockOption(message.Block2, 1, false, 6)))
			if m := peer.nextMessage(time.Second); m.Code != codes.Content || len(m.Payload) != 1024 || coapmsg.Has(m.Options, message.Observe) {
				t.Fatalf("%+v", m)
			}
			if n := o.server.Observers(); n != 0 {
				t.Fatalf("%d observers", n)
			}
		})
	})
}
