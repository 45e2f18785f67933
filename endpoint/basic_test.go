package endpoint_test

import (
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/netsim"
)

func TestAllMethodsBothTypesPlainAndProtected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := netsim.New(netsim.Config{Delay: 10 * time.Millisecond})
		server := start(t, endpoint.Config{Network: n, Unicast: serverAddr, Handler: newResources(), Openers: []endpoint.RequestOpener{&toy{id: 1}}})
		client := start(t, endpoint.Config{Network: n, Unicast: clientAddr})
		run := 0
		for _, sec := range []endpoint.Protector{nil, &toy{id: 2}} {
			for _, con := range []bool{true, false} {
				for code := codes.Code(1); code <= 7; code++ {
					run++
					ctx, cancel := within(time.Second)
					resp, err := client.Do(ctx, endpoint.Request{
						To: server.LocalAddr(), Code: code, Path: "/a", Payload: []byte("hello"), Confirmable: &con, Security: sec,
					})
					cancel()
					if err != nil {
						t.Fatalf("method %v con %v: %v", code, con, err)
					}
					if want := fmt.Sprintf("%d:%d:hello", run, code); resp.Code != codes.Content || string(resp.Payload) != want {
						t.Fatalf("got %v %q, want %q", resp.Code, resp.Payload, want)
					}
					if resp.Peer.Addr != serverAddr || (resp.Peer.Mode == endpoint.Plain) != (sec == nil) {
						t.Fatalf("peer %+v", resp.Peer)
					}
				}
			}
		}
	})
}

func TestRealSockets(t *testing.T) {
	for _, ip := range []string{"127.0.0.1:0", "[::1]:0", "0.0.0.0:0", "[::]:0"} {
		t.Run(ip, func(t *testing.T) {
			server := start(t, endpoint.Config{Unicast: netip.MustParseAddrPort(ip), Handler: newResources(), Openers: []endpoint.RequestOpener{&toy{id: 1}}})
			to := server.LocalAddr()
			local := "[::1]:0"
			if to.Addr().Is4() {
				local = "127.0.0.1:0"
			}
			client := start(t, endpoint.Config{Unicast: netip.MustParseAddrPort(local)})
			if to.Addr().IsUnspecified() {
				to = netip.AddrPortFrom(client.LocalAddr().Addr(), to.Port())
			}
			ctx, cancel := within(5 * time.Second)
			defer cancel()
			resp, err := client.Do(ctx, endpoint.Request{To: to, Code: codes.POST, Path: "a", Payload: []byte("x"), Security: &toy{id: 2}})
			if err != nil || string(resp.Payload) != "1:2:x" || resp.Peer.Addr != to {
				t.Fatalf("%+v %v", resp, err)
			}
		})
	}
}
