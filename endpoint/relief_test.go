package endpoint_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
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

// echoServer answers each request at once and tells f of it.
func echoServer(t *testing.T, n *netsim.Network, f func(from netip.AddrPort, m message.Message)) {
	t.Helper()
	c, err := n.Listen(serverAddr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	go func() {
		buf := make([]byte, 2048)
		for {
			k, from, _, _, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			m, err := coapmsg.ParseDatagram(buf[:k])
			if err != nil || !coapmsg.IsRequest(m.Code) {
				continue
			}
			f(from, m)
			m.Type, m.Code, m.Options = message.Acknowledgement, codes.Content, nil
			b, err := coapmsg.AppendDatagram(nil, m)
			if err != nil {
				panic(err)
			}
			if err := c.WriteTo(b, from, netip.Addr{}, 0, 0); err != nil {
				panic(err)
			}
		}
	}()
}

func TestMessageIDsRunOut(t *testing.T) {
	t.Run("no Message ID is used again within EXCHANGE_LIFETIME by any port, and calls go on by other ports", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n := netsim.New(netsim.Config{})
			type id struct {
				port uint16
				mid  int32
			}
			used := map[id]time.Time{}
			ports := map[uint16]bool{}
			echoServer(t, n, func(from netip.AddrPort, m message.Message) {
				now := time.Now()
				k := id{from.Port(), m.MessageID}
				if at, again := used[k]; again && now.Sub(at) < 247*time.Second {
					t.Errorf("port %d used %#x again after %v", k.port, k.mid, now.Sub(at))
				}
				used[k] = now
				ports[from.Port()] = true
			})
			client := start(t, endpoint.Config{Network: n, Unicast: clientAddr})
			began := time.Now()
			const requests = 90000
			for range requests {
				if _, err := client.Do(t.Context(), endpoint.Request{To: serverAddr, Code: codes.GET}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(500 * time.Microsecond)
			}
			if took := time.Since(began); took > requests*501*time.Microsecond {
				t.Fatalf("calls waited: %v", took)
			}
			if len(ports) < 4 || len(ports) > 5 {
				t.Fatalf("%d ports", len(ports))
			}
			if open := endpoint.Reliefs(client); open > 2 {
				t.Fatalf("%d sockets are open", open)
			}
			// After the lifetime of what was sent, the usual port again.
			time.Sleep(5 * time.Minute)
			clear(ports)
			if _, err := client.Do(t.Context(), endpoint.Request{To: serverAddr, Code: codes.GET}); err != nil || !ports[clientAddr.Port()] {
				t.Fatal(ports, err)
			}
		})
	})
	t.Run("who cannot go elsewhere waits, no longer than its context", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n := netsim.New(netsim.Config{})
			echoServer(t, n, func(netip.AddrPort, message.Message) {})
			client := start(t, endpoint.Config{Network: n, Unicast: clientAddr})
			endpoint.UseMessageIDs(client, serverAddr)
			observe := func(ctx context.Context) (err error) {
				for _, err = range client.Observe(ctx, endpoint.Request{To: serverAddr, Code: codes.GET}) {
					break
				}
				return err
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if err := observe(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
				t.Fatal(err)
			}
			began := time.Now()
			if err := observe(t.Context()); err != nil {
				t.Fatal(err)
			}
			if waited := time.Since(began); waited < 186*time.Second || waited > 188*time.Second {
				t.Fatalf("waited %v", waited)
			}
			if _, err := client.Do(t.Context(), endpoint.Request{To: otherAddr, Code: codes.GET, Confirmable: ptr(false)}); !errors.Is(err, endpoint.ErrNoResponse) {
				t.Fatal(err) // other peers have sequences of their own
			}
		})
	})
	t.Run("who waits does not keep others from leaving by another port", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n := netsim.New(netsim.Config{})
			echoServer(t, n, func(netip.AddrPort, message.Message) {})
			client := start(t, endpoint.Config{Network: n, Unicast: clientAddr})
			endpoint.UseMessageIDs(client, serverAddr)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			go func() {
				for range client.Observe(ctx, endpoint.Request{To: serverAddr, Code: codes.GET}) {
				}
			}()
			synctest.Wait()
			began := time.Now()
			if _, err := client.Do(t.Context(), endpoint.Request{To: serverAddr, Code: codes.GET}); err != nil || time.Since(began) > time.Second {
				t.Fatalf("%v after %v", err, time.Since(began))
			}
		})
	})
	t.Run("a notification waits for a Message ID, and is of the newest state then", func(t *testing.T) {
		inWorld(t, endpoint.Config{}, func(t *testing.T, w *world) {
			var state atomic.Pointer[string]
			state.Store(ptr("old"))
			w.res.Handle("/o", endpoint.AcceptPlain, endpoint.Observable(mux.HandlerFunc(func(rw mux.ResponseWriter, _ *mux.Message) {
				_ = rw.SetResponse(codes.Content, message.TextPlain, strings.NewReader(*state.Load()))
			})))
			w.peer.send(serverAddr, get(t, con, 1, "o", message.Option{ID: message.Observe}))
			w.peer.nextMessage(time.Second)
			endpoint.UseMessageIDs(w.server, clientAddr)
			w.server.Notify("/o")
			w.peer.nothing(200 * time.Second)
			state.Store(ptr("new"))
			w.server.Notify("/o")
			w.peer.send(serverAddr, get(t, con, 2, "a"))
			if m := w.peer.nextMessage(time.Second); m.MessageID != 2 {
				t.Fatalf("requests are not answered meanwhile: %+v", m)
			}
			if m := w.peer.nextMessage(50 * time.Second); string(m.Payload) != "new" || m.MessageID >= 0x7000 {
				t.Fatalf("%+v", m)
			}
		})
	})
}
