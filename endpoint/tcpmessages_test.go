package endpoint_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/mux"

	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/coapmsg"
)

func TestTCPMessages(t *testing.T) {
	t.Run("OS-4.2-3 every method, plain and protected, in connections between endpoints", func(t *testing.T) {
		inStreamWorld(t, endpoint.Config{}, func(t *testing.T, w *streamWorld) {
			client := start(t, endpoint.Config{Network: w.net, Unicast: clientAddr})
			run := 0
			for _, sec := range []endpoint.Protector{nil, &toy{id: 2}} {
				for code := codes.Code(1); code <= 7; code++ {
					run++
					ctx, cancel := within(time.Second)
					resp, err := client.Do(ctx, endpoint.Request{To: serverAddr, Via: endpoint.ViaTCP, Code: code, Path: "/a", Payload: []byte("hello"), Security: sec})
					cancel()
					if err != nil {
						t.Fatalf("method %v: %v", code, err)
					}
					if want := fmt.Sprintf("%d:%d:hello", run, code); resp.Code != codes.Content || string(resp.Payload) != want {
						t.Fatalf("got %v %q, want %q", resp.Code, resp.Payload, want)
					}
					if resp.Peer.Addr != serverAddr || resp.Peer.Via != endpoint.ViaTCP || (resp.Peer.Mode == endpoint.Plain) != (sec == nil) {
						t.Fatalf("peer %+v", resp.Peer)
					}
				}
			}
		})
	})
	t.Run("the first message is a CSM that says what is possible", func(t *testing.T) {
		inStreamWorld(t, endpoint.Config{}, func(t *testing.T, w *streamWorld) {
			m := connect(t, w.net, serverAddr).next(time.Second)
			want := message.Options{csmOption(coapmsg.CSMMaxMessageSize, 65536), {ID: coapmsg.CSMBlockWiseTransfer}, csmOption(coapmsg.CSMExtendedTokenLength, 256)}
			if m.Code != coapmsg.CSM || fmt.Sprintf("%d %x", m.Options, m.Options) != fmt.Sprintf("%d %x", want, want) {
				t.Fatalf("%+v", m)
			}
		})
	})
	t.Run("responses come in any order and copies are served again", func(t *testing.T) {
		inStreamWorld(t, endpoint.Config{}, func(t *testing.T, w *streamWorld) {
			r := greeted(t, w.net, serverAddr)
			r.get("1", "slow")
			r.get("2", "a")
			if m := r.next(time.Second); string(m.Token) != "2" || string(m.Payload) != "1:1:" && string(m.Payload) != "2:1:" {
				t.Fatalf("%+v", m)
			}
			r.nothing(time.Minute)
			close(w.res.release)
			if m := r.next(time.Second); string(m.Token) != "1" {
				t.Fatalf("%+v", m)
			}
			r.get("2", "a")
			if m := r.next(time.Second); string(m.Payload) != "3:1:" {
				t.Fatalf("%q", m.Payload)
			}
		})
	})
	t.Run("errors are answered: unknown options, unknown paths, what does not decrypt", func(t *testing.T) {
		inStreamWorld(t, endpoint.Config{}, func(t *testing.T, w *streamWorld) {
			r := greeted(t, w.net, serverAddr)
			for _, c := range []struct {
				m    message.Message
				code codes.Code
			}{
				{message.Message{Code: codes.GET, Options: message.Options{{ID: 9999}}}, codes.BadOption},
				{message.Message{Code: codes.GET, Options: message.Options{{ID: message.URIPath, Value: []byte("no")}}}, codes.NotFound},
				{message.Message{Code: codes.GET, Options: message.Options{{ID: message.URIPath, Value: []byte("secret")}}}, codes.Unauthorized},
				{message.Message{Code: codes.GET, Options: message.Options{{ID: message.ProxyScheme, Value: []byte("coap")}}}, codes.ProxyingNotSupported},
				{message.Message{Code: codes.POST, Options: message.Options{{ID: coapmsg.OSCORE, Value: []byte{9, 1, 2}}}, Payload: make([]byte, 20)}, codes.BadRequest},
				{message.Message{Code: codes.POST, Options: message.Options{{ID: coapmsg.OSCORE, Value: []byte{9, 1, 0xff}}}, Payload: make([]byte, 20)}, codes.Unauthorized},
			} {
				c.m.Token = message.Token("tk")
				r.put(c.m)
				if m := r.next(time.Second); m.Code != c.code || string(m.Token) != "tk" {
					t.Fatalf("%+v is answered with %+v", c.m, m)
				}
			}
		})
	})
	t.Run("a response that is longer than the peer takes comes in blocks that it takes, or becomes 5.00", func(t *testing.T) {
		inStreamWorld(t, endpoint.Config{}, func(t *testing.T, w *streamWorld) {
			w.res.Handle("/long", endpoint.AcceptPlain, mux.HandlerFunc(func(rw mux.ResponseWriter, m *mux.Message) {
				_ = rw.SetResponse(codes.Created, 0, nil, message.Option{ID: message.LocationPath, Value: make([]byte, 250)}, message.Option{ID: message.LocationPath, Value: make([]byte, 250)})
			}))
			r := greeted(t, w.net, serverAddr, csmOption(coapmsg.CSMMaxMessageSize, 300))
			m := message.Message{Code: codes.POST, Token: []byte{1}, Options: message.Options{{ID: message.URIPath, Value: []byte("a")}}, Payload: make([]byte, 1152)}
			r.put(m)
			if m := r.next(time.Second); m.Code != codes.Content || len(m.Payload) != 128 || !coapmsg.Has(m.Options, message.Block2) {
				t.Fatalf("%+v", m)
			}
			r.get("2", "long")
			if m := r.next(time.Second); m.Code != codes.InternalServerError || string(m.Token) != "2" {
				t.Fatalf("%+v", m)
			}
			r.put(message.Message{Code: coapmsg.CSM, Options: message.Options{csmOption(coapmsg.CSMMaxMessageSize, 2000)}})
			r.put(m)
			if m := r.next(time.Second); m.Code != codes.Content || len(m.Payload) < 1152 {
				t.Fatalf("%+v", m)
			}
		})
	})
	t.Run("a message may arrive in single bytes or many at once", func(t *testing.T) {
		inStreamWorld(t, endpoint.Config{}, func(t *testing.T, w *streamWorld) {
			r := greeted(t, w.net, serverAddr, csmOption(coapmsg.CSMMaxMessageSize, 30000))
			var all []byte
			for i := range 5 {
				b, _ := coapmsg.AppendFrame(nil, message.Message{Code: codes.POST, Token: []byte{byte(i)}, Options: message.Options{{ID: message.URIPath, Value: []byte("a")}}, Payload: bytes.Repeat([]byte{'x'}, i*5000)})
				all = append(all, b...)
			}
			for _, c := range all[:1000] {
				r.write([]byte{c})
			}
			r.write(all[1000:])
			seen := map[byte]int{}
			for range 5 {
				m := r.next(time.Second)
				_, body, _ := strings.Cut(string(m.Payload), ":2:")
				seen[m.Token[0]] = len(body)
			}
			for i := range 5 {
				if seen[byte(i)] != i*5000 {
					t.Fatal(seen)
				}
			}
		})
	})
}
