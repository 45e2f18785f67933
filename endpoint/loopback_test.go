package endpoint_test

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

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
		heard := hear4(t, group, "lo")
		for _, hops := range []int{0, 3} {
			if got := ask(t, endpoint.Request{Interface: "lo", HopLimit: hops}, 3); len(got) != 3 {
				t.Fatalf("%d responses", len(got))
			}
			if got := heard(); len(got) != 1 || got[0] != max(hops, 1) {
				t.Fatalf("datagrams with hop limits %v, want one with %d", got, max(hops, 1))
			}
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

// hear4 joins a group beside the endpoints and returns the hop limits of what has
// come to it since the last call.
func hear4(t *testing.T, group netip.AddrPort, ifName string) func() []int {
	t.Helper()
	c := listenMulticast(t, "udp4", group, ifName)
	p := ipv4.NewPacketConn(c)
	if err := p.SetControlMessage(ipv4.FlagTTL, true); err != nil {
		t.Fatal(err)
	}
	return all(c, func(b []byte) (int, error) {
		_, cm, _, err := p.ReadFrom(b)
		if err != nil {
			return 0, err
		}
		return cm.TTL, nil
	})
}

// hear6 is hear4 for IPv6.
func hear6(t *testing.T, group netip.AddrPort, ifName string) func() []int {
	t.Helper()
	c := listenMulticast(t, "udp6", group, ifName)
	p := ipv6.NewPacketConn(c)
	if err := p.SetControlMessage(ipv6.FlagHopLimit, true); err != nil {
		t.Fatal(err)
	}
	return all(c, func(b []byte) (int, error) {
		_, cm, _, err := p.ReadFrom(b)
		if err != nil {
			return 0, err
		}
		return cm.HopLimit, nil
	})
}

func listenMulticast(t *testing.T, network string, group netip.AddrPort, ifName string) *net.UDPConn {
	t.Helper()
	ifi, err := net.InterfaceByName(ifName)
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.ListenMulticastUDP(network, ifi, net.UDPAddrFromAddrPort(group))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// all reads until nothing comes for a moment: when the answers to a datagram are
// there, its copies are too.
func all(c *net.UDPConn, read func([]byte) (int, error)) func() []int {
	return func() (got []int) {
		b := make([]byte, 2048)
		for {
			_ = c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
			n, err := read(b)
			if err != nil {
				return got
			}
			got = append(got, n)
		}
	}
}
