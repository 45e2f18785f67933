package endpoint_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/endpoint"
)

// Real sockets and real multicast on the loopback interface: each device has a
// unicast socket on an address of its own and a socket bound to the group.
func TestLoopbackMulticast(t *testing.T) {
	group := netip.MustParseAddrPort("239.255.77.1:56830")
	probe, err := endpoint.UDP{}.ListenGroup(group, "lo")
	if err != nil {
		t.Skip("no multicast on loopback here:", err)
	}
	probe.Close()

	fl := newFleet(t)
	mine := fl.member("c", nil, nil)
	lamps := map[string]*endpoint.Endpoint{}
	for i := range 3 {
		id := fmt.Sprintf("s%d", i+1)
		ctxs := &endpoint.Contexts{}
		ctxs.AddGroup(fl.member(id, nil, nil), endpoint.GroupOptions{})
		lamps[id] = start(t, endpoint.Config{
			Unicast: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 77, byte(i + 2)}), 0),
			Groups:  []endpoint.MulticastGroup{{Addr: group, Interface: "lo"}},
			Handler: lampHandler(id), Openers: []endpoint.RequestOpener{ctxs}, Leisure: 50 * time.Millisecond,
		})
	}
	ctxs := &endpoint.Contexts{}
	ctxs.AddGroup(mine, endpoint.GroupOptions{})
	// The client is a member too: it hears its own requests and drops them.
	meter := &endpoint.Counters{}
	client := start(t, endpoint.Config{
		Unicast: netip.MustParseAddrPort("127.0.77.1:0"), Groups: []endpoint.MulticastGroup{{Addr: group, Interface: "lo"}},
		Openers: []endpoint.RequestOpener{ctxs}, Handler: lampHandler("c"), Meter: meter,
	})

	ask := func(t *testing.T, r endpoint.Request, want int) map[string]*endpoint.Response {
		t.Helper()
		r.To, r.Code, r.Path, r.Payload, r.Security = group, codes.POST, "light", []byte("on"), endpoint.WithGroup(mine)
		got := map[string]*endpoint.Response{}
		ctx, cancel := within(5 * time.Second)
		defer cancel()
		for resp, err := range client.DoMulticast(ctx, r) {
			if err != nil {
				t.Fatal(err)
			}
			got[string(resp.Peer.SenderID)] = resp
			if len(got) == want {
				break
			}
		}
		return got
	}
	t.Run("GC-3.1.1-5,GC-3.1.4-2,GC-3.1.4-3 all answer once, from their unicast sockets and ports", func(t *testing.T) {
		got := ask(t, endpoint.Request{}, 3)
		for id, e := range lamps {
			r := got[id]
			if r == nil || r.Peer.Addr != e.LocalAddr() || string(r.Payload) != id+" c c group on" || r.Peer.Addr.Port() == group.Port() {
				t.Fatalf("%s: %+v", id, r)
			}
		}
	})
	t.Run("O16 one datagram leaves, by the interface named and with the hop limit named", func(t *testing.T) {
		if got := ask(t, endpoint.Request{Interface: "lo", HopLimit: 3}, 3); len(got) != 3 {
			t.Fatalf("%d responses", len(got))
		}
		if n := meter.Get(endpoint.DropUnexpected); n != 0 {
			t.Fatalf("%d surplus responses", n)
		}
	})
	t.Run("a group socket takes no part in the unicast traffic of its port", func(t *testing.T) {
		ctx, cancel := within(100 * time.Millisecond)
		defer cancel()
		to := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), group.Port())
		if r, err := client.Do(ctx, endpoint.Request{To: to, Code: codes.GET, Confirmable: ptr(false)}); err == nil {
			t.Fatalf("%+v", r)
		}
		if n := meter.Get(endpoint.DropPlain); n != 0 {
			t.Fatal("received by the group socket")
		}
	})
	t.Run("who has left the group does not answer, who joins again does", func(t *testing.T) {
		g := endpoint.MulticastGroup{Addr: group, Interface: "lo"}
		if err := lamps["s1"].LeaveGroup(g); err != nil {
			t.Fatal(err)
		}
		if got := ask(t, endpoint.Request{}, 2); got["s1"] != nil || len(got) != 2 {
			t.Fatal(got)
		}
		if err := lamps["s1"].JoinGroup(g); err != nil {
			t.Fatal(err)
		}
		if got := ask(t, endpoint.Request{}, 3); len(got) != 3 {
			t.Fatal(got)
		}
	})
	t.Run("pairwise by unicast on the same group", func(t *testing.T) {
		ctx, cancel := within(5 * time.Second)
		defer cancel()
		r, err := client.Do(ctx, endpoint.Request{To: lamps["s2"].LocalAddr(), Code: codes.POST, Path: "light", Security: endpoint.WithPairwise(mine, []byte("s2"))})
		if err != nil || r.Peer.Mode != endpoint.PairwiseMode {
			t.Fatalf("%+v %v", r, err)
		}
	})
	t.Run("O17 a wildcard socket beside a group socket on its port answers from the address that was asked", func(t *testing.T) {
		id := "w"
		ctxs := &endpoint.Contexts{}
		ctxs.AddGroup(fl.member(id, nil, nil), endpoint.GroupOptions{})
		meter := &endpoint.Counters{}
		w := start(t, endpoint.Config{
			Unicast: netip.MustParseAddrPort("0.0.0.0:0"), Handler: lampHandler(id), Openers: []endpoint.RequestOpener{ctxs},
			Leisure: 50 * time.Millisecond, Meter: meter,
		})
		g := endpoint.MulticastGroup{Addr: netip.AddrPortFrom(group.Addr(), w.LocalAddr().Port()), Interface: "lo"}
		if err := w.JoinGroup(g); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := within(5 * time.Second)
		defer cancel()
		for _, host := range []string{"127.0.0.1", "127.0.77.9"} {
			to := netip.AddrPortFrom(netip.MustParseAddr(host), w.LocalAddr().Port())
			if r, err := client.Do(ctx, endpoint.Request{To: to, Code: codes.POST, Path: "light", Security: endpoint.WithPairwise(mine, []byte(id))}); err != nil || r.Peer.Addr != to {
				t.Fatalf("%+v %v", r, err)
			}
		}
		for r, err := range client.DoMulticast(ctx, endpoint.Request{To: g.Addr, Code: codes.POST, Path: "light", Security: endpoint.WithGroup(mine)}) {
			if err != nil || string(r.Peer.SenderID) != id {
				t.Fatalf("%+v %v", r, err)
			}
			break
		}
		if n := meter.Get(endpoint.DropDuplicate) + meter.Get(endpoint.DropUnverified); n != 0 {
			t.Fatalf("the group request came %d times more by the wildcard socket", n)
		}
		if _, err := endpoint.New(endpoint.Config{Unicast: w.LocalAddr()}); err == nil {
			t.Fatal("a second wildcard socket took the port")
		}
	})
}
