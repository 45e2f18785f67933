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

	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/oscore"
)

const (
	// servedClients ask at once, each by a socket of its own and one request
	// after the other.
	servedClients = 32
	// servedRequests is how many requests one client sends to one server in a
	// full run.
	servedRequests = 4000
	// servedSlots are the parts of a run. The servers are asked by turns, part by
	// part, so that whatever else the machine does is felt by all.
	servedSlots = 10
	// servedTail are the parts at the beginning and at the end that are compared.
	servedTail = 2
)

// servedSuite measures requests served over UDP loopback, against a loop that
// only parses and encodes messages on the same kind of socket, and with the same
// clients. They run on the same processors.
func servedSuite(m *meter) ([]figure, error) {
	n := max(servedSlots, min(servedRequests, servedRequests*m.rounds/100)/servedSlots*servedSlots)
	plain, err := plainRequests(n)
	if err != nil {
		return nil, err
	}
	contexts, protected, err := protectedRequests(n)
	if err != nil {
		return nil, err
	}
	echo := &served{name: "codec echo", open: openEcho, requests: plain}
	own := &served{name: "plain", open: func() (netip.AddrPort, func(), error) { return openEndpoint(nil) }, requests: plain}
	secure := &served{name: "OSCORE", open: func() (netip.AddrPort, func(), error) { return openEndpoint(contexts) }, requests: protected}
	if err := driveAll(echo, own, secure); err != nil {
		return nil, err
	}
	// By itself, since what it keeps of each exchange is work for the collector.
	beside := &served{name: "codec echo", open: openEcho, requests: plain}
	other := &served{name: "go-coap", open: openGoCoAP, requests: plain}
	if err := driveAll(beside, other); err != nil {
		return nil, err
	}
	exchanges := n * servedClients
	tail := exchanges / servedSlots * servedTail
	// What the echo gained or lost meanwhile is not the server's.
	first, last := secure.rate(0, servedTail), secure.rate(servedSlots-servedTail, servedSlots)
	last *= echo.rate(0, servedTail) / echo.rate(servedSlots-servedTail, servedSlots)
	figures := []figure{
		reachTimes("OSCORE requests served over UDP loopback, of a codec echo", secure.rate(0, servedSlots), echo.rate(0, servedSlots), "1/s", 0.45),
		reach("OSCORE requests served over UDP loopback", secure.rate(0, servedSlots), echo.rate(0, servedSlots), "1/s", 60000),
		count("allocations for one of them, server side", math.Round(secure.allocations()*10)/10, "allocations", 16),
		reachTimes(fmt.Sprintf("the last %d of %d of them beside the first %d", tail, exchanges, tail), last, first, "1/s", 0.8),
		shown("plain requests served", own.rate(0, servedSlots), echo.rate(0, servedSlots), "1/s"),
		shown("the same by go-coap's server", other.rate(0, servedSlots), beside.rate(0, servedSlots), "1/s"),
		memoryFigure(fmt.Sprintf("memory left by an OSCORE exchange, after %d of them", exchanges-tail), max(0, secure.left/float64(tail)), n == servedRequests),
		memoryFigure("memory left by an exchange of go-coap's server, after as many", max(0, other.left/float64(tail)), false),
	}
	more, err := servedMemory(m)
	return append(figures, more...), err
}

// memoryFigure is a figure in bytes that is to be nothing but noise, or has no
// goal.
func memoryFigure(name string, bytes float64, nothing bool) figure {
	if nothing {
		return count(name, bytes, "bytes", 16)
	}
	return figure{Name: name, Value: bytes, Unit: "bytes", Goal: "none", Met: true}
}

// served is a server and what was measured of it. Clients allocate nothing.
type served struct {
	name     string
	open     func() (netip.AddrPort, func(), error)
	requests [][][]byte // of each client

	conns    []*net.UDPConn
	n        int // requests of a client in one slot
	took     [servedSlots]time.Duration
	mallocs  uint64
	left     float64 // bytes after the tail that were not there before it
	shutdown func()
}

// rate is how many requests a second were served in some slots.
func (s *served) rate(from, to int) float64 {
	var took time.Duration
	for _, d := range s.took[from:to] {
		took += d
	}
	return float64((to-from)*s.n*len(s.conns)) / took.Seconds()
}

// allocations is how many there were for one request.
func (s *served) allocations() float64 {
	return float64(s.mallocs) / float64(servedSlots*s.n*len(s.conns))
}

// driveAll opens servers and asks them by turns.
func driveAll(servers ...*served) error {
	for _, s := range servers {
		if err := s.start(); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		defer s.close()
	}
	for slot := range servedSlots {
		for _, s := range servers {
			if err := s.slot(slot); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
		}
	}
	return nil
}

func (s *served) start() error {
	to, shutdown, err := s.open()
	if err != nil {
		return err
	}
	s.shutdown = shutdown
	s.n = len(s.requests[0]) / servedSlots
	for range s.requests {
		c, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(to))
		if err != nil {
			s.close()
			return err
		}
		s.conns = append(s.conns, c)
	}
	return nil
}

func (s *served) close() {
	for _, c := range s.conns {
		c.Close()
	}
	s.shutdown()
}

// slot sends the requests of one part and waits for each response.
func (s *served) slot(i int) error {
	var before, after runtime.MemStats
	held := live()
	runtime.ReadMemStats(&before)
	began := time.Now()
	err := driveSlot(s.conns, s.requests, i*s.n, (i+1)*s.n)
	s.took[i] = time.Since(began)
	runtime.ReadMemStats(&after)
	s.mallocs += after.Mallocs - before.Mallocs
	if i >= servedSlots-servedTail {
		s.left += live() - held
	}
	return err
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
