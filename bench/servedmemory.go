package main

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/oscore"
)

// servedMemory measures what peers and observers cost a server.
func servedMemory(m *meter) ([]figure, error) {
	var figures []figure
	for _, of := range []struct {
		name    string
		n       int
		measure func(int) (float64, error)
	}{
		{"memory for a peer that was served, and its duplicates", min(10*m.rounds, 1000), peerBytes},
		{"memory for a peer with an OSCORE context, with that", min(10*m.rounds, 1000), securePeerBytes},
		{"memory for a peer of go-coap's server, without a stack", min(10*m.rounds, 1000), goCoAPPeerBytes},
		{"memory for an observer", min(20*m.rounds, 2000), observerBytes},
	} {
		bytes, err := of.measure(of.n)
		if err != nil {
			return figures, fmt.Errorf("%s: %w", of.name, err)
		}
		figures = append(figures, memoryFigure(of.name, bytes, false))
	}
	return figures, nil
}

// peerBytes is what remains of a peer that was served, in bytes: the answer for
// its duplicates.
func peerBytes(n int) (float64, error) {
	e, err := newServer(nil, func(c *endpoint.Config) { c.DedupEntries = 16 * n })
	if err != nil {
		return 0, err
	}
	defer e.Close()
	r, err := encoded(request(), 1)
	if err != nil {
		return 0, err
	}
	return perPeer(e.LocalAddr(), n, func(int) ([]byte, error) { return r, nil })
}

// goCoAPPeerBytes is the same for go-coap's server, which has a session for each
// peer. The stack of its goroutine is not counted.
func goCoAPPeerBytes(n int) (float64, error) {
	to, shutdown, err := openGoCoAP()
	if err != nil {
		return 0, err
	}
	defer shutdown()
	r, err := encoded(request(), 1)
	if err != nil {
		return 0, err
	}
	return perPeer(to, n, func(int) ([]byte, error) { return r, nil })
}

// securePeerBytes is the same for a peer with an OSCORE context, and with that.
func securePeerBytes(n int) (float64, error) {
	contexts := &endpoint.Contexts{}
	e, err := newServer(contexts, func(c *endpoint.Config) { c.DedupEntries = 16 * n })
	if err != nil {
		return 0, err
	}
	defer e.Close()
	return perPeer(e.LocalAddr(), n, func(i int) ([]byte, error) {
		id, peer := []byte{byte(i >> 8), byte(i), 1}, []byte{byte(i >> 8), byte(i), 2}
		server, err := oscoreContext(peer, id)
		if err != nil {
			return nil, err
		}
		if err := contexts.AddOSCORE(server, nil, nil); err != nil {
			return nil, err
		}
		client, err := oscoreContext(id, peer)
		if err != nil {
			return nil, err
		}
		m, _, err := client.ProtectRequest(request(), oscore.RequestOptions{})
		if err != nil {
			return nil, err
		}
		return encoded(m, 1)
	})
}

// perPeer has n peers ask a server once, and tells what each leaves behind.
func perPeer(to netip.AddrPort, n int, make func(i int) ([]byte, error)) (float64, error) {
	var buf [2048]byte
	one := func(i int) error {
		r, err := make(i)
		if err != nil {
			return err
		}
		c, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(to))
		if err != nil {
			return err
		}
		defer c.Close()
		return ask(c, r, buf[:])
	}
	const ahead = 10
	for i := range ahead {
		if err := one(i); err != nil {
			return 0, err
		}
	}
	before := live()
	for i := range n {
		if err := one(ahead + i); err != nil {
			return 0, err
		}
	}
	return max(0, live()-before) / float64(n), nil
}

// observerBytes is what an observer costs, in bytes.
func observerBytes(n int) (float64, error) {
	e, err := newServer(nil, func(c *endpoint.Config) { c.Observations, c.ObservationsPerPeer = 16*n, 16*n })
	if err != nil {
		return 0, err
	}
	defer e.Close()
	c, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(e.LocalAddr()))
	if err != nil {
		return 0, err
	}
	defer c.Close()
	buf := make([]byte, 2048)
	register := func(i int) error {
		m := request()
		m.Code, m.Payload = codes.GET, nil
		m.Options = message.Options{{ID: message.Observe}, {ID: message.URIPath, Value: []byte("state")}}
		r, err := encoded(m, i)
		if err != nil {
			return err
		}
		return ask(c, r, buf)
	}
	if err := register(0); err != nil {
		return 0, err
	}
	before := live()
	for i := range n {
		if err := register(i + 1); err != nil {
			return 0, err
		}
	}
	bytes := max(0, live()-before) / float64(n)
	if e.Observers() < n {
		return 0, fmt.Errorf("%d observers of %d", e.Observers(), n)
	}
	return bytes, nil
}
