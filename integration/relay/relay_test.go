package relay

import (
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"
)

func listen(t *testing.T) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func addr(c *net.UDPConn) netip.AddrPort { return unmapped(c.LocalAddr().(*net.UDPAddr).AddrPort()) }

func receive(t *testing.T, c *net.UDPConn) (string, netip.AddrPort) {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 100)
	n, from, err := c.ReadFromUDPAddrPort(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:n]), unmapped(from)
}

func TestRelay(t *testing.T) {
	var mu sync.Mutex
	var seen []Datagram
	server := listen(t)
	cfg := Config{Front: netip.MustParseAddrPort("127.0.0.1:0"), Server: addr(server), Record: func(d Datagram) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, d)
	}}
	r, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	send := func(c *net.UDPConn, to netip.AddrPort, text string) {
		t.Helper()
		if _, err := c.WriteToUDPAddrPort([]byte(text), to); err != nil {
			t.Fatal(err)
		}
	}
	a, b := listen(t), listen(t)
	send(a, r.Front(), "a asks")
	got, asA := receive(t, server)
	if got != "a asks" || asA == addr(a) {
		t.Fatal(got, asA)
	}
	send(b, r.Front(), "b asks")
	if got, asB := receive(t, server); got != "b asks" || asB == asA {
		t.Fatal("two devices have one address", got, asB)
	}
	send(server, asA, "answer")
	if got, from := receive(t, a); got != "answer" || from != r.Front() {
		t.Fatal(got, from)
	}
	send(server, asA, "on its own")
	if got, _ := receive(t, a); got != "on its own" {
		t.Fatal(got)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(seen) != 4 || seen[0].Direction != ToServer || seen[0].Device != addr(a) || seen[2].Direction != ToDevice || string(seen[3].Bytes) != "on its own" {
		t.Fatalf("%+v", seen)
	}
}

func TestRelayLosesAndDoubles(t *testing.T) {
	count := func(drop, double float64) (recorded, arrived int) {
		server := listen(t)
		var mu sync.Mutex
		r, err := New(Config{Front: netip.MustParseAddrPort("127.0.0.1:0"), Server: addr(server), Drop: drop, Double: double, Record: func(Datagram) {
			mu.Lock()
			defer mu.Unlock()
			recorded++
		}})
		if err != nil {
			t.Fatal(err)
		}
		c := listen(t)
		for range 20 {
			if _, err := c.WriteToUDPAddrPort([]byte("x"), r.Front()); err != nil {
				t.Fatal(err)
			}
		}
		buf := make([]byte, 10)
		for {
			if err := server.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
				t.Fatal(err)
			}
			if _, _, err := server.ReadFromUDPAddrPort(buf); err != nil {
				break
			}
			arrived++
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		return recorded, arrived
	}
	if n, m := count(1, 0); n != 20 || m != 0 {
		t.Error("lost ones are recorded and do not arrive:", n, m)
	}
	if n, m := count(0, 1); n != 20 || m != 40 {
		t.Error("doubled ones arrive twice:", n, m)
	}
	if _, err := New(Config{}); err == nil {
		t.Error("a relay that records nothing")
	}
}
