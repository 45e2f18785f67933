package netsim_test

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cohort-iot/cohort/internal/netsim"
)

var (
	a     = netip.MustParseAddrPort("10.0.0.1:5683")
	b     = netip.MustParseAddrPort("10.0.0.2:5683")
	group = netip.MustParseAddrPort("224.0.1.187:5683")
)

func listen(t *testing.T, n *netsim.Network, addr netip.AddrPort) netsim.Transport {
	t.Helper()
	var c netsim.Transport
	var err error
	if addr.Addr().IsMulticast() {
		c, err = n.ListenGroup(addr, "")
	} else {
		c, err = n.Listen(addr)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func read(t *testing.T, c netsim.Transport) (string, netip.AddrPort, netip.AddrPort) {
	t.Helper()
	buf := make([]byte, 100)
	n, from, to, _, err := c.ReadFrom(buf)
	if err != nil {
		t.Fatal(err)
	}
	return string(buf[:n]), from, to
}

func write(t *testing.T, c netsim.Transport, to netip.AddrPort, s string) {
	t.Helper()
	if err := c.WriteTo([]byte(s), to, netip.Addr{}, 0, 0); err != nil {
		t.Fatal(err)
	}
}

func TestUnicast(t *testing.T) {
	n := netsim.New(netsim.Config{})
	ca, cb := listen(t, n, a), listen(t, n, b)
	write(t, ca, b, "hello")
	if s, from, to := read(t, cb); s != "hello" || from != a || to != b {
		t.Fatalf("got %q from %v to %v", s, from, to)
	}
	write(t, ca, netip.MustParseAddrPort("10.0.0.9:1"), "nobody")
	if st := n.Stats(); st.Sent != 2 || st.Delivered != 1 || st.Unroutable != 1 {
		t.Fatalf("stats %+v", st)
	}
	if _, err := n.Listen(a); !errors.Is(err, netsim.ErrAddressInUse) {
		t.Fatalf("second Listen: %v", err)
	}
}

func TestMulticastReachesEveryMember(t *testing.T) {
	n := netsim.New(netsim.Config{})
	ca := listen(t, n, a)
	g1, g2 := listen(t, n, group), listen(t, n, group)
	write(t, ca, group, "all")
	for _, g := range []netsim.Transport{g1, g2} {
		if s, from, to := read(t, g); s != "all" || from != a || to != group {
			t.Fatalf("got %q from %v to %v", s, from, to)
		}
	}
	g1.Close()
	write(t, ca, group, "one")
	if s, _, _ := read(t, g2); s != "one" {
		t.Fatal(s)
	}
	if st := n.Stats(); st.Delivered != 3 {
		t.Fatalf("stats %+v", st)
	}
	if _, err := n.ListenGroup(a, ""); !errors.Is(err, netsim.ErrNotMulticast) {
		t.Fatal(err)
	}
}

func TestClose(t *testing.T) {
	n := netsim.New(netsim.Config{})
	c := listen(t, n, a)
	done := make(chan error)
	go func() {
		_, _, _, _, err := c.ReadFrom(make([]byte, 1))
		done <- err
	}()
	c.Close()
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Fatal(err)
	}
	if err := c.WriteTo(nil, b, netip.Addr{}, 0, 0); !errors.Is(err, net.ErrClosed) {
		t.Fatal(err)
	}
	listen(t, n, a) // the address is free again
}

func TestFilter(t *testing.T) {
	n := netsim.New(netsim.Config{})
	ca, cb := listen(t, n, a), listen(t, n, b)
	n.SetFilter(func(p netsim.Packet) netsim.Verdict {
		switch p.N {
		case 1:
			return netsim.Verdict{Drop: true}
		case 2:
			return netsim.Verdict{Duplicate: 1}
		}
		return netsim.Verdict{}
	})
	for _, s := range []string{"1", "2", "3"} {
		write(t, ca, b, s)
	}
	for _, want := range []string{"2", "2", "3"} {
		if s, _, _ := read(t, cb); s != want {
			t.Fatalf("got %q, want %q", s, want)
		}
	}
}

func TestDelayAndReorder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := netsim.New(netsim.Config{Delay: time.Second})
		ca, cb := listen(t, n, a), listen(t, n, b)
		n.SetFilter(func(p netsim.Packet) netsim.Verdict {
			if p.N == 1 {
				return netsim.Verdict{Delay: time.Second}
			}
			return netsim.Verdict{}
		})
		start := time.Now()
		write(t, ca, b, "slow")
		write(t, ca, b, "fast")
		for i, want := range []string{"fast", "slow"} {
			if s, _, _ := read(t, cb); s != want {
				t.Fatalf("got %q, want %q", s, want)
			}
			if d := time.Since(start); d != time.Duration(i+1)*time.Second {
				t.Fatalf("%s after %v", want, d)
			}
		}
	})
}

func TestRandomFaultsRepeat(t *testing.T) {
	run := func() netsim.Stats {
		n := netsim.New(netsim.Config{Seed: 7, Loss: 0.3, Duplicate: 0.2})
		ca := listen(t, n, a)
		listen(t, n, b)
		for range 500 {
			write(t, ca, b, "x")
		}
		return n.Stats()
	}
	one, two := run(), run()
	if one != two {
		t.Fatalf("%+v, then %+v", one, two)
	}
	if one.Lost < 100 || one.Lost > 200 || one.Delivered <= 500-one.Lost {
		t.Fatalf("faults do not look as configured: %+v", one)
	}
}

func TestFullInboxLoses(t *testing.T) {
	n := netsim.New(netsim.Config{})
	ca := listen(t, n, a)
	listen(t, n, b)
	for range 1100 {
		write(t, ca, b, "x")
	}
	if st := n.Stats(); st.Delivered != 1024 || st.Lost != 76 {
		t.Fatalf("stats %+v", st)
	}
}
