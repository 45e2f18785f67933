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

func TestExtendedTokens(t *testing.T) {
	t.Run("tokens are echoed up to MaxToken bytes, longer ones with 4.00, impossible ones rejected", func(t *testing.T) {
		inWorld(t, endpoint.Config{MaxToken: 300}, func(t *testing.T, w *world) {
			mid := int32(0)
			for n, want := range map[int]codes.Code{0: codes.Content, 8: codes.Content, 13: codes.Content, 269: codes.Content, 300: codes.Content, 301: codes.BadRequest, 1500: codes.BadRequest} {
				for _, typ := range []message.Type{con, non} {
					mid++
					token := bytes.Repeat([]byte{byte(n)}, n)
					b := encode(t, message.Message{Type: typ, MessageID: mid, Token: token, Code: codes.GET, Options: message.Options{{ID: message.URIPath, Value: []byte("a")}}})
					w.peer.send(serverAddr, b)
					m := w.peer.nextMessage(time.Second)
					if m.Code != want || !bytes.Equal(m.Token, token) || (m.Type == message.Acknowledgement) != (typ == con) {
						t.Fatalf("token of %d bytes: %v %v", n, m.Code, m.Type)
					}
					if want == codes.BadRequest && len(m.Payload)+len(m.Options) > 0 {
						t.Fatal("the answer is longer than the request")
					}
				}
			}
			w.dropped(endpoint.DropToken, 4)
			for _, tkl := range []byte{9, 12, 15} {
				w.peer.send(serverAddr, append([]byte{0x40 | tkl, 1, 0, 1}, make([]byte, 20)...))
				if b := w.peer.next(time.Second); !bytes.Equal(b, []byte{0x70, 0, 0, 1}) {
					t.Fatalf("%x", b)
				}
			}
		})
	})
	t.Run("a client uses long tokens, and short ones where long ones are rejected", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n := netsim.New(netsim.Config{})
			client := start(t, endpoint.Config{Network: n, Unicast: clientAddr, TokenLength: 40})
			server := start(t, endpoint.Config{Network: n, Unicast: serverAddr, Handler: newResources()})
			ask := func(t *testing.T) error {
				ctx, cancel := within(time.Minute)
				defer cancel()
				_, err := client.Do(ctx, endpoint.Request{To: serverAddr, Code: codes.GET, Path: "a"})
				return err
			}

			if err := ask(t); err != nil {
				t.Fatal(err)
			}
			server.Close()
			old := listenRaw(t, n, serverAddr)
			lengths := func(want ...int) {
				t.Helper()
				result := make(chan error)
				go func() { result <- ask(t) }()
				for _, n := range want {
					m := old.nextMessage(time.Second)
					if len(m.Token) != n {
						t.Fatalf("token of %d bytes", len(m.Token))
					}
					if n > 8 {
						old.send(clientAddr, []byte{0x70, 0, byte(m.MessageID >> 8), byte(m.MessageID)})
						continue
					}
					old.send(clientAddr, encode(t, message.Message{Type: message.Acknowledgement, MessageID: m.MessageID, Token: m.Token, Code: codes.Content}))
				}
				if err := <-result; err != nil {
					t.Fatal(err)
				}
			}
			lengths(40, 8)
			lengths(8)
			time.Sleep(31 * time.Minute)
			lengths(40, 8)

		})
	})
	t.Run("by TCP the CSM says which are possible", func(t *testing.T) {
		inStreamWorld(t, endpoint.Config{MaxToken: 20}, func(t *testing.T, w *streamWorld) {
			for _, length := range []int{20, 21} {
				client := start(t, endpoint.Config{Network: w.net, Unicast: clientAddr, TokenLength: length})
				ctx, cancel := within(time.Second)
				r := endpoint.Request{To: serverAddr, Via: endpoint.ViaTCP, Code: codes.GET, Path: "a"}
				if _, err := client.Do(ctx, r); err != nil {
					t.Fatal(err)
				}
				cancel()
				client.Close()
			}
			r := greeted(t, w.net, serverAddr, csmOption(coapmsg.CSMExtendedTokenLength, 4))
			r.get(string(make([]byte, 20)), "a")
			if m := r.next(time.Second); len(m.Token) != 20 || m.Code != codes.Content {
				t.Fatalf("%+v", m)
			}
		})
	})
	t.Run("lengths that cannot be are refused", func(t *testing.T) {
		for _, c := range []endpoint.Config{{TokenLength: 9}, {TokenLength: 7}, {TokenLength: 65805}, {MaxToken: 7}, {MaxToken: 65805}, {TokenLength: -1}} {
			c.Unicast = serverAddr
			if c.Validate() == nil {
				t.Fatalf("%+v", c)
			}
		}
	})
}
