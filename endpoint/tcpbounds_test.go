package endpoint_test

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/coapmsg"
)

func TestTCPBounds(t *testing.T) {
	t.Run("O9 a peer that does not read loses its connection and delays nobody", func(t *testing.T) {
		inStreamWorld(t, endpoint.Config{TCP: endpoint.TCPConfig{SendBuffer: 4096}}, func(t *testing.T, w *streamWorld) {
			deaf, err := w.net.DialStream(t.Context(), serverAddr)
			if err != nil {
				t.Fatal(err)
			}
			defer deaf.Close()
			other := greeted(t, w.net, serverAddr)
			b, _ := coapmsg.AppendFrame(nil, message.Message{Code: coapmsg.CSM})
			ping, _ := coapmsg.AppendFrame(nil, message.Message{Code: coapmsg.Ping, Token: []byte("12345678")})
			n, _ := deaf.Write(append(b, bytes.Repeat(ping, 1000)...))
			if n == 0 {
				t.Fatal("nothing was taken")
			}
			other.get("1", "a")
			began := time.Now()
			if m := other.next(time.Second); m.Code != codes.Content || time.Since(began) > 0 {
				t.Fatalf("%+v after %v", m, time.Since(began))
			}
			if _, err := deaf.Write(ping); err == nil {
				t.Fatal("still open")
			}
			if n := w.meter.Get(endpoint.DropConnection); n != 1 {
				t.Fatalf("%d dropped", n)
			}
		})
	})
	t.Run("O9 one peer's slow requests do not keep others from being served, and it is told 5.03", func(t *testing.T) {
		inStreamWorld(t, endpoint.Config{Workers: 4}, func(t *testing.T, w *streamWorld) {
			r, other := greeted(t, w.net, serverAddr), greeted(t, w.net, serverAddr)
			for i := range 5 {
				r.get(string(rune('a'+i)), "slow")
			}
			other.get("1", "a")
			if m := other.next(time.Second); m.Code != codes.Content {
				t.Fatalf("%+v", m)
			}
			for _, want := range []string{"d", "e"} {
				if m := r.next(2 * time.Second); m.Code != codes.ServiceUnavailable || string(m.Token) != want {
					t.Fatalf("%+v", m)
				}
			}
			close(w.res.release)
			for range 3 {
				if m := r.next(time.Second); m.Code != codes.Content {
					t.Fatalf("%+v", m)
				}
			}
			for i := range 30 { // more at once than are served at once
				r.get(string(rune('A'+i)), "a")
			}
			for range 30 {
				if m := r.next(time.Second); m.Code != codes.Content {
					t.Fatalf("%+v", m)
				}
			}
		})
	})
	t.Run("O21 connections are bounded, in all and for one host; idle ones make room", func(t *testing.T) {
		inStreamWorld(t, endpoint.Config{TCP: endpoint.TCPConfig{MaxConnections: 6, PerHost: 4}}, func(t *testing.T, w *streamWorld) {
			var first []*rawStream
			for range 4 {
				first = append(first, greeted(t, w.net, serverAddr))
			}
			connect(t, w.net, serverAddr).ended(time.Second) // a fifth of one host
			time.Sleep(time.Second)
			first[0].get("1", "slow")
			first[1].put(message.Message{Code: coapmsg.Ping})
			first[1].next(time.Second)
			w.net.host = netip.MustParseAddr("10.0.0.7")
			second := []*rawStream{greeted(t, w.net, serverAddr), greeted(t, w.net, serverAddr)}
			w.net.host = netip.MustParseAddr("10.0.0.8")
			connect(t, w.net, serverAddr).ended(time.Second) // nothing is idle for long
			time.Sleep(30 * time.Second)
			third := greeted(t, w.net, serverAddr)
			for i, r := range first {
				if i == 2 || i == 3 {
					select {
					case b, ok := <-r.in:
						if m, _ := coapmsg.ParseFrame(b); ok && m.Code != coapmsg.Release {
							t.Fatalf("%+v", m)
						}
						first[i] = nil
					default:
					}
				}
			}
			if (first[2] == nil) == (first[3] == nil) {
				t.Fatal("not one of the two that were idle for longest was ended")
			}
			for _, r := range append(second, third, first[0], first[1]) {
				r.put(message.Message{Code: coapmsg.Ping})
				if m := r.next(time.Second); m.Code != coapmsg.Pong {
					t.Fatalf("%+v", m)
				}
			}
		})
	})
	t.Run("memory is taken for what came, not for what was announced", func(t *testing.T) {
		inStreamWorld(t, endpoint.Config{TCP: endpoint.TCPConfig{MaxConnections: 200, PerHost: 200, MaxMessageSize: 1 << 20}}, func(t *testing.T, w *streamWorld) {
			before := measure()
			for range 200 {
				greeted(t, w.net, serverAddr).write([]byte{0xf0, 0, 0x0e, 0, 0, 2})
			}
			if after := measure(); after.heap > before.heap+8<<20 {
				t.Fatalf("%+v after %+v", after, before)
			}
		})
	})
}
