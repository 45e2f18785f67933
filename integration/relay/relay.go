package relay

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"
)

// maxDatagram is the largest UDP payload, in bytes.
const maxDatagram = 1<<16 - 1

// Direction says which way a datagram went.
type Direction uint8

// The directions.
const (
	ToServer Direction = iota + 1
	ToDevice
)

// Datagram is one datagram as it arrived at the relay, also when it was dropped
// there: whoever listens has it.
type Datagram struct {
	Direction Direction
	Device    netip.AddrPort // the device's own address
	Bytes     []byte
	At        time.Time
}

// Config describes a relay.
type Config struct {
	Front  netip.AddrPort // where devices send; port 0 picks a free one
	Server netip.AddrPort // where the server listens
	// Record is called for each datagram before it goes on, by one goroutine for
	// each direction and device. Required.
	Record func(Datagram)
	// Drop and Double are the shares of datagrams that get lost and that arrive
	// twice, 0 to 1.
	Drop, Double float64
	Seed         uint64
}

// Relay is a running relay.
type Relay struct {
	cfg   Config
	front *net.UDPConn

	mu      sync.Mutex
	rand    *rand.Rand
	devices map[netip.AddrPort]*net.UDPConn
	closed  bool
	running sync.WaitGroup
}

// New opens the relay.
func New(cfg Config) (*Relay, error) {
	if cfg.Record == nil {
		return nil, errors.New("relay: a recorder is required")
	}
	front, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(cfg.Front))
	if err != nil {
		return nil, fmt.Errorf("relay: %w", err)
	}
	r := &Relay{
		cfg: cfg, front: front, devices: map[netip.AddrPort]*net.UDPConn{},
		rand: rand.New(rand.NewPCG(cfg.Seed, 0)),
	}
	r.running.Go(r.fromDevices)
	return r, nil
}

// Front is where devices send.
func (r *Relay) Front() netip.AddrPort {
	return unmapped(r.front.LocalAddr().(*net.UDPAddr).AddrPort())
}

// Close ends the relay and waits for its goroutines.
func (r *Relay) Close() error {
	r.mu.Lock()
	r.closed = true
	err := r.front.Close()
	for _, c := range r.devices {
		err = errors.Join(err, c.Close())
	}
	r.mu.Unlock()
	r.running.Wait()
	return err
}

func (r *Relay) fromDevices() {
	buf := make([]byte, maxDatagram)
	for {
		n, from, err := r.front.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // an ICMP error of one device is no business of the others
		}
		from = unmapped(from)
		back, err := r.back(from)
		if err != nil {
			return
		}
		r.pass(Datagram{ToServer, from, append([]byte(nil), buf[:n]...), time.Now()}, func(b []byte) {
			_, _ = back.WriteToUDPAddrPort(b, r.cfg.Server)
		})
	}
}

// back is the socket that stands for a device.
func (r *Relay) back(device netip.AddrPort) (*net.UDPConn, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.devices[device]; c != nil {
		return c, nil
	}
	if r.closed {
		return nil, net.ErrClosed
	}
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(device.Addr(), 0)))
	if err != nil {
		return nil, err
	}
	r.devices[device] = c
	r.running.Go(func() { r.toDevice(device, c) })
	return c, nil
}

func (r *Relay) toDevice(device netip.AddrPort, c *net.UDPConn) {
	buf := make([]byte, maxDatagram)
	for {
		n, _, err := c.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // the server is away: a port unreachable of before
		}
		r.pass(Datagram{ToDevice, device, append([]byte(nil), buf[:n]...), time.Now()}, func(b []byte) {
			_, _ = r.front.WriteToUDPAddrPort(b, device)
		})
	}
}

// pass records a datagram and sends it on, or not, or twice.
func (r *Relay) pass(d Datagram, send func([]byte)) {
	r.cfg.Record(d)
	r.mu.Lock()
	x := r.rand.Float64()
	r.mu.Unlock()
	if x < r.cfg.Drop {
		return
	}
	send(d.Bytes)
	if x > 1-r.cfg.Double {
		send(d.Bytes)
	}
}

func unmapped(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }
