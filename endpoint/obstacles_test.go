package endpoint_test

import (
	"context"
	"fmt"
	"net/netip"
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

// What is known to fail elsewhere and is shown nowhere else to hold here.
func TestObstacles(t *testing.T) {
	t.Run("O14 responses and signals that nobody asked for are not served as requests", func(t *testing.T) {
		inWorld(t, endpoint.Config{}, func(t *testing.T, w *world) {
			for code := range codes.Code(256) {
				if code == codes.Empty || coapmsg.IsRequest(code) {
					continue
				}
				w.peer.send(serverAddr, encode(t, message.Message{Type: non, MessageID: int32(code), Token: []byte{1}, Code: code, Options: message.Options{{ID: message.URIPath, Value: []byte("a")}}}))
			}
			w.peer.nothing(time.Minute)
			if w.res.runs.Load() != 0 {
				t.Fatal("served")
			}
		})
	})
	t.Run("O18 datagrams longer than an Ethernet frame arrive whole, at servers and clients", func(t *testing.T) {
		inWorld(t, endpoint.Config{}, func(t *testing.T, w *world) {
			client := start(t, endpoint.Config{Network: w.net, Unicast: otherAddr})
			peer := listenRaw(t, w.net, groupServer)
			body := make([]byte, 1900) // what the peer of this test can read
			go func() {
				m := peer.nextMessage(time.Second)
				peer.send(otherAddr, encode(t, message.Message{Type: message.Acknowledgement, MessageID: m.MessageID, Token: m.Token, Code: codes.Content, Payload: body}))
			}()
			ctx, cancel := within(time.Minute)
			defer cancel()
			resp, err := client.Do(ctx, endpoint.Request{To: groupServer, Code: codes.GET})
			if err != nil || len(resp.Payload) != len(body) {
				t.Fatalf("%+v %v", resp, err)
			}
		})
	})
	t.Run("O19 many requests may be outstanding to many peers, for every method one to each", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n := netsim.New(netsim.Config{Delay: time.Second})
			client := start(t, endpoint.Config{Network: n, Unicast: clientAddr})
			began := time.Now()
			results := make(chan error)
			for i := range 20 {
				addr := serverAddr
				addr = endpointAddr(addr, i)
				start(t, endpoint.Config{Network: n, Unicast: addr, Handler: newResources(), Workers: 1})
				go func() {
					_, err := client.Do(context.Background(), endpoint.Request{To: addr, Code: codes.Code(i%7 + 1), Path: "a"})
					results <- err
				}()
			}
			for range 20 {
				if err := <-results; err != nil {
					t.Fatal(err)
				}
			}
			if d := time.Since(began); d != 2*time.Second {
				t.Fatalf("%v", d)
			}
		})
	})
	t.Run("O22 a path is found at one price among few resources and many", func(t *testing.T) {
		find := func(n int) float64 {
			m := endpoint.NewMux()
			for i := range n {
				m.Handle(fmt.Sprintf("/r%d/{x}/y", i), endpoint.AcceptPlain, mux.HandlerFunc(func(w mux.ResponseWriter, _ *mux.Message) {}))
			}
			allocs := 0.0
			synctest.Test(t, func(t *testing.T) {
				net := netsim.New(netsim.Config{})
				start(t, endpoint.Config{Network: net, Unicast: serverAddr, Handler: m})
				peer := listenRaw(t, net, clientAddr)
				mid := int32(0)
				allocs = testing.AllocsPerRun(200, func() {
					mid++
					peer.send(serverAddr, encode(t, message.Message{Type: con, MessageID: mid, Code: codes.GET, Options: message.Options{
						{ID: message.URIPath, Value: []byte("r0")}, {ID: message.URIPath, Value: []byte("v")}, {ID: message.URIPath, Value: []byte("y")}}}))
					peer.next(time.Second)
				})
			})
			return allocs
		}
		few, many := find(1), find(1000)
		if many > few+2 {
			t.Fatalf("%.0f allocations among many, %.0f among few", many, few)
		}
	})
}

var groupServer = endpointAddr(serverAddr, 77)

// endpointAddr is one of many addresses beside a.
func endpointAddr(a netip.AddrPort, i int) netip.AddrPort {
	b := a.Addr().As4()
	b[2], b[3] = 9, byte(i)
	return netip.AddrPortFrom(netip.AddrFrom4(b), a.Port())
}
