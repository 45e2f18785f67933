package endpoint_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/netsim"
)

func TestConfigValidate(t *testing.T) {
	err := (&endpoint.Config{
		More: []netip.AddrPort{groupAddr}, Groups: []endpoint.MulticastGroup{{Addr: clientAddr}},
		Workers: -1, Leisure: -1, MaxRetransmit: 99,
	}).Validate()
	for _, want := range []string{"unicast address is missing", "multicast address; use Groups", "is not multicast", "Workers is negative", "Leisure is negative", "MaxRetransmit is above 10"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in: %v", want, err)
		}
	}
	if _, err := endpoint.New(endpoint.Config{}); err == nil {
		t.Error("New took an invalid configuration")
	}
	n := netsim.New(netsim.Config{})
	start(t, endpoint.Config{Network: n, Unicast: serverAddr})
	if _, err := endpoint.New(endpoint.Config{Network: n, Unicast: clientAddr, More: []netip.AddrPort{serverAddr}}); !errors.Is(err, netsim.ErrAddressInUse) {
		t.Error(err)
	}
	start(t, endpoint.Config{Network: n, Unicast: clientAddr}) // what the failed one had opened is closed
}

func TestRequestIsChecked(t *testing.T) {
	n := netsim.New(netsim.Config{})
	e := start(t, endpoint.Config{Network: n, Unicast: clientAddr})
	for name, r := range map[string]endpoint.Request{
		"no destination":        {Code: codes.GET},
		"no port":               {Code: codes.GET, To: netip.AddrPortFrom(serverAddr.Addr(), 0)},
		"no method":             {To: serverAddr},
		"response code":         {To: serverAddr, Code: codes.Content},
		"group":                 {To: groupAddr, Code: codes.GET},
		"hop limit":             {To: serverAddr, Code: codes.GET, HopLimit: 256},
		"unknown critical":      {To: serverAddr, Code: codes.GET, Options: message.Options{{ID: 9999}}},
		"OSCORE option by hand": {To: serverAddr, Code: codes.GET, Options: message.Options{{ID: 9}}},
		"path segment too long": {To: serverAddr, Code: codes.GET, Path: strings.Repeat("x", 256)},
	} {
		if _, err := e.Do(context.Background(), r); !errors.Is(err, endpoint.ErrRequest) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, err := range e.DoMulticast(context.Background(), endpoint.Request{To: serverAddr, Code: codes.GET}) {
		if !errors.Is(err, endpoint.ErrRequest) {
			t.Error(err)
		}
	}
	broken := errors.New("broken")
	if _, err := e.Do(context.Background(), endpoint.Request{To: serverAddr, Code: codes.GET, Security: failing{broken}}); !errors.Is(err, broken) {
		t.Error(err)
	}
}

type failing struct{ err error }

func (f failing) ProtectRequest(m message.Message) (message.Message, endpoint.ResponseOpener, error) {
	return m, nil, f.err
}

func TestReasons(t *testing.T) {
	var c endpoint.Counters
	seen := map[string]bool{}
	for _, r := range endpoint.Reasons() {
		if s := r.String(); s == "" || seen[s] || strings.HasPrefix(s, "reason(") {
			t.Errorf("%d: %q", r, s)
		}
		seen[r.String()] = true
		c.Dropped(r)
		if c.Get(r) != 1 {
			t.Error(r)
		}
	}
	unknown := endpoint.Reason(200)
	c.Dropped(unknown)
	if c.Get(unknown) != 0 || unknown.String() != "reason(200)" {
		t.Error(unknown)
	}
	for m, want := range map[endpoint.Mode]string{endpoint.Plain: "plain", endpoint.OSCORE: "oscore", endpoint.GroupMode: "group", endpoint.PairwiseMode: "pairwise", 9: "mode(9)"} {
		if m.String() != want {
			t.Error(m)
		}
	}
}

// Two address families on one endpoint: requests leave by the right socket.
func TestMoreAddresses(t *testing.T) {
	server := start(t, endpoint.Config{Unicast: netip.MustParseAddrPort("127.0.0.1:0"), More: []netip.AddrPort{netip.MustParseAddrPort("[::1]:0")}, Handler: newResources()})
	client := start(t, endpoint.Config{Unicast: netip.MustParseAddrPort("[::1]:0"), More: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}})
	for _, to := range server.LocalAddrs() {
		r, err := client.Do(t.Context(), endpoint.Request{To: to, Code: codes.GET, Path: "a"})
		if err != nil || r.Code != codes.Content || r.Peer.Addr != to {
			t.Fatalf("%+v %v", r, err)
		}
	}
}
