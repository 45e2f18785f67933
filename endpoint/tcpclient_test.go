package endpoint_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strings"
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

func TestTCPClient(t *testing.T) {
	t.Run("requests share one connection; responses find theirs", func(t *testing.T) {
		inStreamWorld(t, endpoint.Config{}, func(t *testing.T, w *streamWorld) {
			client := start(t, endpoint.Config{Network: w.net, Unicast: clientAddr})
			results := make(chan string)
			for i := range 20 {
				go func() {
					ctx, cancel := within(time.Second)
					defer cancel()
					r, err := client.Do(ctx, endpoint.Request{To: serverAddr, Via: endpoint.ViaTCP, Code: codes.POST, Path: "a", Payload: fmt.Append(nil, i)})
					if err != nil {
						results <- err.Error()
						return
					}
					_, body, _ := strings.Cut(string(r.Payload), ":2:")
					results <- body
				}()
			}
			seen := map[string]bool{}
			for range 20 {
				seen[<-results] = true
			}
			if len(seen) != 20 || !seen["0"] || !seen["19"] || w.net.port != 50001 {
				t.Fatal(seen, w.net.port)
			}
		})
	})
	t.Run("calls end with ErrConnection when the connection ends, and the next call opens one", func(t *testing.T) {
		inStreamWorld(t, endpoint.Config{}, func(t *testing.T, w *streamWorld) {
			client := start(t, endpoint.Config{Network: w.net, Unicast: clientAddr})
			addr := netip.MustParseAddrPort("10.0.0.9:5683")
			ask := func(code codes.Code) error {
				ctx, cancel := within(time.Minute)
				defer cancel()
				_, err := client.Do(ctx, endpoint.Request{To: addr, Via: endpoint.ViaTCP, Code: code})
				return err
			}
			if err := ask(codes.GET); !errors.Is(err, endpoint.ErrConnection) {
				t.Fatal(err)
			}
			l, err := w.net.ListenStream(addr)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			for _, end := range []message.Message{{Code: coapmsg.Abort, Payload: []byte("no")}, {}} {
				failed := make(chan error)
				go func() { failed <- ask(codes.GET) }()
				c, err := l.Accept()
				if err != nil {
					t.Fatal(err)
				}
				r := newRawStream(t, c)
				r.put(message.Message{Code: coapmsg.CSM})
				r.next(time.Second)
				r.next(time.Second)
				if end.Code == coapmsg.Abort {
					r.put(end)
				} else {
					r.Close()
				}
				if err := <-failed; !errors.Is(err, endpoint.ErrConnection) {
					t.Fatal(err)
				}
			}
		})
	})
	t.Run("bodies go in one message if the peer takes it, and in blocks if not", func(t *testing.T) {
		inStreamWorld(t, endpoint.Config{}, func(t *testing.T, w *streamWorld) {
			for _, c := range []struct{ body, limit int }{{60000, 0}, {70000, 0}, {3000, 2000}} {
				client := start(t, endpoint.Config{Network: w.net, Unicast: clientAddr, TCP: endpoint.TCPConfig{MaxMessageSize: c.limit}})
				ctx, cancel := within(time.Minute)
				r := endpoint.Request{To: serverAddr, Via: endpoint.ViaTCP, Code: codes.POST, Path: "a", Payload: bytes.Repeat([]byte("x"), c.body), Security: &toy{id: 2}}
				resp, err := client.Do(ctx, r)
				if err != nil || len(resp.Payload) != c.body+4 {
					t.Fatalf("%+v %v", resp, err)
				}
				cancel()
				client.Close()
			}
		})
	})
	t.Run("a message that the peer does not take is refused", func(t *testing.T) {
		inStreamWorld(t, endpoint.Config{}, func(t *testing.T, w *streamWorld) {
			client := start(t, endpoint.Config{Network: w.net, Unicast: clientAddr})
			ctx, cancel := within(time.Minute)
			defer cancel()
			r := endpoint.Request{To: serverAddr, Via: endpoint.ViaTCP, Code: codes.POST, Path: strings.Repeat("/"+strings.Repeat("x", 200), 60), Payload: make([]byte, 60000)}
			if _, err := client.Do(ctx, r); !errors.Is(err, endpoint.ErrRequest) {
				t.Fatal(err)
			}
		})
	})
	t.Run("observations last as long as their connection", func(t *testing.T) {
		inStreamWorld(t, endpoint.Config{}, func(t *testing.T, w *streamWorld) {
			n := 0
			w.res.Handle("/count", endpoint.AcceptPlain, mux.HandlerFunc(func(rw mux.ResponseWriter, m *mux.Message) {
				n++
				_ = rw.SetResponse(codes.Content, message.TextPlain, strings.NewReader(fmt.Sprint(n)), message.Option{ID: message.Observe})
			}))
			r := greeted(t, w.net, serverAddr)
			r.put(message.Message{Code: codes.GET, Token: []byte("ob"), Options: message.Options{{ID: message.Observe}, {ID: message.URIPath, Value: []byte("count")}}})
			for i := range 4 {
				m := r.next(time.Second)
				if string(m.Token) != "ob" || string(m.Payload) != fmt.Sprint(i+1) || !coapmsg.Has(m.Options, message.Observe) {
					t.Fatalf("%+v", m)
				}
				synctest.Wait()
				if w.server.Observers() != 1 || w.server.Notify("/count") != 1 {
					t.Fatal("not observed")
				}
			}
			r.Close()
			synctest.Wait()
			if w.server.Observers() != 0 {
				t.Fatal("still observed")
			}
		})
	})
	t.Run("RFC 8323, 7.1: the Observe values of notifications mean nothing", func(t *testing.T) {
		inStreamWorld(t, endpoint.Config{}, func(t *testing.T, w *streamWorld) {
			to := netip.MustParseAddrPort("10.0.0.9:5683")
			l, err := w.net.ListenStream(to)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			seen := watch(t, w.server, endpoint.Request{To: to, Via: endpoint.ViaTCP, Code: codes.GET, Path: "x"})
			c, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			r := newRawStream(t, c)
			r.put(message.Message{Code: coapmsg.CSM})
			r.next(time.Second)
			reg := r.next(time.Second)
			for i, v := range [][]byte{{7}, nil, nil, {7}, {6}} {
				state := fmt.Sprint(i)
				r.put(message.Message{Code: codes.Content, Token: reg.Token, Options: message.Options{{ID: message.Observe, Value: v}}, Payload: []byte(state)})
				seen.want(state)
			}
			seen.stop()
			if m := r.next(time.Second); !bytes.Equal(m.Token, reg.Token) || !coapmsg.Has(m.Options, message.Observe) {
				t.Fatalf("not canceled: %+v", m)
			}
		})
	})
	t.Run("responses to a group request do not come by connections", func(t *testing.T) {
		inStreamWorld(t, endpoint.Config{InsecurePlainMulticast: true}, func(t *testing.T, w *streamWorld) {
			g, err := w.net.ListenGroup(groupAddr, "")
			if err != nil {
				t.Fatal(err)
			}
			defer g.Close()
			r, udp := greeted(t, w.net, serverAddr), listenRaw(t, w.net.Network, otherAddr)
			go func() {
				m := (&raw{t, g}).nextMessage(time.Second)
				r.put(message.Message{Code: codes.Content, Token: m.Token, Payload: []byte("by TCP")})
				udp.send(serverAddr, encode(t, message.Message{Type: non, MessageID: 1, Code: codes.Content, Token: m.Token, Payload: []byte("by UDP")}))
			}()
			ctx, cancel := within(time.Minute)
			defer cancel()
			var got []string
			for resp, err := range w.server.DoMulticast(ctx, endpoint.Request{To: groupAddr, Code: codes.GET}) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, string(resp.Payload))
			}
			if len(got) != 1 || got[0] != "by UDP" {
				t.Fatal(got)
			}
		})
	})
	t.Run("a server asks a client by the connection that the client opened", func(t *testing.T) {
		inStreamWorld(t, endpoint.Config{}, func(t *testing.T, w *streamWorld) {
			r := greeted(t, w.net, serverAddr)
			go func() {
				m := <-r.in
				p, _ := coapmsg.ParseFrame(m)
				r.put(message.Message{Code: codes.Content, Token: p.Token, Payload: []byte("mine")})
			}()
			ctx, cancel := within(time.Second)
			defer cancel()
			to := netip.AddrPortFrom(clientAddr.Addr(), 50001)
			resp, err := w.server.Do(ctx, endpoint.Request{To: to, Via: endpoint.ViaTCP, Code: codes.GET})
			if err != nil || string(resp.Payload) != "mine" {
				t.Fatalf("%+v %v", resp, err)
			}
		})
	})
	t.Run("responses by other ways than the request's are nothing", func(t *testing.T) {
		inStreamWorld(t, endpoint.Config{}, func(t *testing.T, w *streamWorld) {
			r, other := greeted(t, w.net, serverAddr), greeted(t, w.net, serverAddr)
			udp := listenRaw(t, w.net.Network, netip.AddrPortFrom(clientAddr.Addr(), 50001))
			go func() {
				m := <-r.in
				p, _ := coapmsg.ParseFrame(m)
				p = message.Message{Code: codes.Content, Token: p.Token, Payload: []byte("forged")}
				other.put(p)
				p.Type, p.MessageID = non, 7
				udp.send(serverAddr, encode(t, p))
				time.Sleep(time.Second)
				p.Payload = []byte("mine")
				r.put(p)
			}()
			ctx, cancel := within(time.Minute)
			defer cancel()
			resp, err := w.server.Do(ctx, endpoint.Request{To: udp.LocalAddr(), Via: endpoint.ViaTCP, Code: codes.GET})
			if err != nil || string(resp.Payload) != "mine" {
				t.Fatalf("%+v %v", resp, err)
			}
		})
	})
	t.Run("no response is waited for that nobody wants", func(t *testing.T) {
		inStreamWorld(t, endpoint.Config{}, func(t *testing.T, w *streamWorld) {
			client := start(t, endpoint.Config{Network: w.net, Unicast: clientAddr})
			ctx, cancel := within(time.Minute)
			defer cancel()
			r := endpoint.Request{To: serverAddr, Via: endpoint.ViaTCP, Code: codes.POST, Path: "a", Options: message.Options{{ID: coapmsg.NoResponse, Value: []byte{26}}}}
			if resp, err := client.Do(ctx, r); err != nil || resp.Code != 0 {
				t.Fatalf("%+v %v", resp, err)
			}
			synctest.Wait()
			if w.res.runs.Load() != 1 {
				t.Fatal("not served")
			}
		})
	})
	t.Run("a network without connections offers none", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n := netsim.New(netsim.Config{})
			if _, err := endpoint.New(endpoint.Config{Network: n, Unicast: serverAddr, TCP: endpoint.TCPConfig{Listen: []netip.AddrPort{serverAddr}}}); !errors.Is(err, endpoint.ErrVia) {
				t.Fatal(err)
			}
			e := start(t, endpoint.Config{Network: n, Unicast: serverAddr})
			if _, err := e.Do(t.Context(), endpoint.Request{To: clientAddr, Via: endpoint.ViaTCP, Code: codes.GET}); !errors.Is(err, endpoint.ErrVia) {
				t.Fatal(err)
			}
			if _, err := e.Do(t.Context(), endpoint.Request{To: clientAddr, Via: 9, Code: codes.GET}); !errors.Is(err, endpoint.ErrRequest) {
				t.Fatal(err)
			}
		})
	})
}
