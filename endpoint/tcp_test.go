package endpoint_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/internal/netsim"
)

// streamWorld is a server with connections.
type streamWorld struct {
	net    *streams
	res    *resources
	sec    *toy
	meter  *endpoint.Counters
	server *endpoint.Endpoint
}

func inStreamWorld(t *testing.T, cfg endpoint.Config, f func(t *testing.T, w *streamWorld)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &streamWorld{net: newStreams(netsim.New(netsim.Config{})), res: newResources(), sec: &toy{id: 1}, meter: &endpoint.Counters{}}
		cfg.Network, cfg.Unicast, cfg.Handler, cfg.Meter = w.net, serverAddr, w.res, w.meter
		cfg.Openers = []endpoint.RequestOpener{w.sec}
		cfg.TCP.Listen = []netip.AddrPort{serverAddr}
		w.server = start(t, cfg)
		f(t, w)
	})
}

func csmOption(id message.OptionID, v uint32) message.Option {
	return message.Option{ID: id, Value: coapmsg.EncodeUint(v)}
}

func TestTCPRealSockets(t *testing.T) {
	for _, ip := range []string{"127.0.0.1:0", "[::1]:0"} {
		t.Run(ip, func(t *testing.T) {
			addr := netip.MustParseAddrPort(ip)
			server := start(t, endpoint.Config{Unicast: addr, TCP: endpoint.TCPConfig{Listen: []netip.AddrPort{addr}}, Handler: newResources(), Openers: []endpoint.RequestOpener{&toy{id: 1}}})
			client := start(t, endpoint.Config{Unicast: addr})
			to := server.ListenAddrs(endpoint.ViaTCP)[0]
			ctx, cancel := within(5 * time.Second)
			defer cancel()
			var r endpoint.Request
			if err := r.SetURI(fmt.Sprintf("coap+tcp://%s/a", to)); err != nil {
				t.Fatal(err)
			}
			r.Code, r.Payload, r.Security = codes.POST, bytes.Repeat([]byte("x"), 50000), &toy{id: 2}
			resp, err := client.Do(ctx, r)
			if err != nil || len(resp.Payload) != 50004 || resp.Peer.Addr != to {
				t.Fatalf("%+v %v", resp, err)
			}
		})
	}
}
