package main

import (
	"bytes"
	"fmt"
	"math"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/mux"

	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/oscore"
)

const (
	// servedClients ask at once, each by a socket of its own and one request
	// after the other.
	servedClients = 32
	// servedRequests is how many requests one client sends in a full run.
	servedRequests = 4000
	// servedSlots are the parts of a run whose rates are compared.
	servedSlots = 5
)

// servedSuite measures requests served over UDP loopback, against a loop that
// only parses and encodes messages on the same kind of socket, and with the same
// clients. They run on the same processors.
func servedSuite(m *meter) ([]figure, error) {
	n := max(servedSlots, min(servedRequests, servedRequests*m.rounds/100))
	plain, err := plainRequests(n)
	if err != nil {
		return nil, err
	}
	echo, err := withEcho(func(to netip.AddrPort) (served, error) { return drive(to, plain) })
	if err != nil {
		return nil, fmt.Errorf("codec echo: %w", err)
	}
	own, err := withEndpoint(nil, func(to netip.AddrPort) (served, error) { return drive(to, plain) })
	if err != nil {
		return nil, fmt.Errorf("plain: %w", err)
	}
	other, err := withGoCoAP(func(to netip.AddrPort) (served, error) { return drive(to, plain) })
	if err != nil {
		return nil, fmt.Errorf("go-coap: %w", err)
	}
	contexts, protected, err := protectedRequests(n)
	if err != nil {
		return nil, err
	}
	secure, err := withEndpoint(contexts, func(to netip.AddrPort) (served, error) { return drive(to, protected) })
	if err != nil {
		return nil, fmt.Errorf("OSCORE: %w", err)
	}
	peer, err := peerBytes(min(10*m.rounds, 1000))
	if err != nil {
		return nil, err
	}
	observer, err := observerBytes(min(20*m.rounds, 2000))
	if err != nil {
		return nil, err
	}
	return []figure{
		reachTimes("OSCORE requests served over UDP loopback, of a codec echo", secure.rate, echo.rate, "1/s", 0.45),
		reach("OSCORE requests served over UDP loopback", secure.rate, echo.rate, "1/s", 60000),
		count("allocations for one of them, server side", math.Round(secure.allocations*10)/10, "allocations", 16),
		reachTimes("the last fifth of them beside the first", secure.last, secure.first, "1/s", 0.8),
		shown("plain requests served", own.rate, echo.rate, "1/s"),
		shown("the same by go-coap's server", other.rate, echo.rate, "1/s"),
		{Name: "memory for a peer that was served, and its duplicates", Value: peer, Unit: "bytes", Goal: "none", Met: true},
		{Name: "memory for an observer", Value: observer, Unit: "bytes", Goal: "none", Met: true},
	}, nil
}

// served is what one run gave: requests a second in all of it, in its first and
// in its last part, and allocations for a request. Clients make none.
type served struct{ rate, first, last, allocations float64 }

// drive sends the requests of each client and waits for each response.
func drive(to netip.AddrPort, requests [][][]byte) (served, error) {
	conns := make([]*net.UDPConn, len(requests))
	for i := range conns {
		c, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(to))
		if err != nil {
			return served{}, err
		}
		defer c.Close()
		conns[i] = c
	}
	n := len(requests[0]) / servedSlots
	var rates [servedSlots]float64
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	began := time.Now()
	for slot := range rates {
		start := time.Now()
		if err := driveSlot(conns, requests, slot*n, (slot+1)*n); err != nil {
			return served{}, err
		}
		rates[slot] = float64(len(conns)*n) / time.Since(start).Seconds()
	}
	total := float64(len(conns) * n * servedSlots)
	elapsed := time.Since(began)
	runtime.ReadMemStats(&after)
	return served{total / elapsed.Seconds(), rates[0], rates[servedSlots-1], float64(after.Mallocs-before.Mallocs) / total}, nil
}

func driveSlot(conns []*net.UDPConn, requests [][][]byte, from, to int) error {
	var wg sync.WaitGroup
	errs := make(chan error, len(conns))
	for i, c := range conns {
		wg.Go(func() {
			buf := make([]byte, 2048)
			for _, r := range requests[i][from:to] {
				if err := ask(c, r, buf); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	return <-errs
}

// ask sends a request and takes the response with its token; a lost datagram is
// sent once more.
func ask(c *net.UDPConn, r, buf []byte) error {
	for try := range 3 {
		if _, err := c.Write(r); err != nil {
			return err
		}
		if err := c.SetReadDeadline(time.Now().Add(time.Duration(try+1) * time.Second)); err != nil {
			return err
		}
		for {
			n, err := c.Read(buf)
			if err != nil {
				break
			}
			if n >= 8 && buf[1]>>5 == 2 && bytes.Equal(buf[4:8], r[4:8]) {
				return nil
			}
			if n >= 8 && buf[1]>>5 > 2 {
				return fmt.Errorf("response %s", coapmsg.CodeString(codes.Code(buf[1])))
			}
		}
	}
	return fmt.Errorf("no response")
}

// encoded makes the datagram of a request, confirmable and with a token of four
// bytes.
func encoded(m message.Message, i int) ([]byte, error) {
	m.Type, m.MessageID = message.Confirmable, int32(uint16(i))
	m.Token = []byte{byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i)}
	return coapmsg.AppendDatagram(nil, m)
}

func plainRequests(n int) ([][][]byte, error) {
	all := make([][][]byte, servedClients)
	for c := range all {
		for i := range n {
			b, err := encoded(request(), i)
			if err != nil {
				return nil, err
			}
			all[c] = append(all[c], b)
		}
	}
	return all, nil
}

// protectedRequests makes requests under a context for each client, and the
// server's contexts.
func protectedRequests(n int) (*endpoint.Contexts, [][][]byte, error) {
	contexts := &endpoint.Contexts{}
	all := make([][][]byte, servedClients)
	for c := range all {
		id := []byte{byte(c), 1}
		client, err := oscoreContext(id, []byte{byte(c), 2})
		if err != nil {
			return nil, nil, err
		}
		server, err := oscoreContext([]byte{byte(c), 2}, id)
		if err != nil {
			return nil, nil, err
		}
		if err := contexts.AddOSCORE(server, nil, nil); err != nil {
			return nil, nil, err
		}
		for i := range n {
			p, _, err := client.ProtectRequest(request(), oscore.RequestOptions{})
			if err != nil {
				return nil, nil, err
			}
			b, err := encoded(p, i)
			if err != nil {
				return nil, nil, err
			}
			all[c] = append(all[c], b)
		}
	}
	return contexts, all, nil
}

// withEcho runs f against the floor: a loop that parses a message and answers
// with another one.
func withEcho(f func(netip.AddrPort) (served, error)) (served, error) {
	c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(anyPort))
	if err != nil {
		return served{}, err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		in, out := make([]byte, 2048), make([]byte, 0, 2048)
		for {
			n, from, err := c.ReadFromUDPAddrPort(in)
			if err != nil {
				return
			}
			m, err := coapmsg.ParseDatagram(in[:n])
			if err != nil {
				continue
			}
			m.Type, m.Code, m.Options = message.Acknowledgement, codes.Changed, nil
			if out, err = coapmsg.AppendDatagram(out[:0], m); err == nil {
				_, _ = c.WriteToUDPAddrPort(out, from)
			}
		}
	}()
	s, err := f(c.LocalAddr().(*net.UDPAddr).AddrPort())
	c.Close()
	<-done
	return s, err
}

var anyPort = netip.MustParseAddrPort("127.0.0.1:0")

// answer is the payload of every response.
var answer = make([]byte, payloadSize)

// lightHandler answers with a payload as long as the request's.
func lightHandler(w mux.ResponseWriter, _ *mux.Message) {
	_ = w.SetResponse(codes.Changed, message.AppOctets, bytes.NewReader(answer))
}

// observedHandler lets itself be observed.
func observedHandler(w mux.ResponseWriter, _ *mux.Message) {
	_ = w.SetResponse(codes.Content, message.AppOctets, bytes.NewReader(answer), message.Option{ID: message.Observe})
}

func newServer(contexts *endpoint.Contexts, change func(*endpoint.Config)) (*endpoint.Endpoint, error) {
	m := endpoint.NewMux()
	m.Handle("/light", endpoint.AcceptPlain|endpoint.AcceptOSCORE, mux.HandlerFunc(lightHandler))
	m.Handle("/state", endpoint.AcceptPlain, mux.HandlerFunc(observedHandler))
	cfg := endpoint.Config{Unicast: anyPort, Handler: m}
	if contexts != nil {
		cfg.Openers = []endpoint.RequestOpener{contexts}
	}
	if change != nil {
		change(&cfg)
	}
	return endpoint.New(cfg)
}

// withEndpoint runs f against this module's endpoint.
func withEndpoint(contexts *endpoint.Contexts, f func(netip.AddrPort) (served, error)) (served, error) {
	e, err := newServer(contexts, nil)
	if err != nil {
		return served{}, err
	}
	defer e.Close()
	return f(e.LocalAddr())
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
	buf := make([]byte, 2048)
	one := func() error {
		c, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(e.LocalAddr()))
		if err != nil {
			return err
		}
		defer c.Close()
		return ask(c, r, buf)
	}
	for range 10 {
		if err := one(); err != nil {
			return 0, err
		}
	}
	before := live()
	for range n {
		if err := one(); err != nil {
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
