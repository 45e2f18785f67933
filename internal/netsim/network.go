package netsim

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"
)

// Errors of the simulated network.
var (
	// ErrAddressInUse is returned by Listen for an address that has a socket.
	ErrAddressInUse = errors.New("netsim: address already in use")
	// ErrNotMulticast is returned by ListenGroup for a unicast address.
	ErrNotMulticast = errors.New("netsim: not a multicast address")
)

// inboxSize is the number of datagrams a socket holds before further ones are
// lost, like the receive buffer of a real socket.
const inboxSize = 1024

// Transport is the shape of a socket that package endpoint wants. It is an
// alias of an interface literal, so that the type here and the one there are
// the same type and neither package imports the other.
type Transport = interface {
	ReadFrom(b []byte) (n int, from, to netip.AddrPort, ifIndex int, err error)
	WriteTo(b []byte, to netip.AddrPort, from netip.Addr, ifIndex, hopLimit int) error
	LocalAddr() netip.AddrPort
	Close() error
}

// Config describes a network. The zero value is a perfect network without
// delay.
type Config struct {
	// Seed makes the random faults repeatable; any value will do.
	Seed uint64
	// Loss is the probability in 0..1 that a datagram is lost on its way to
	// one receiver.
	Loss float64
	// Duplicate is the probability in 0..1 that a receiver gets a datagram
	// twice.
	Duplicate float64
	// Delay is the time each datagram takes; 0 delivers at once, in order.
	Delay time.Duration
	// Jitter is added to Delay, uniformly from 0 to Jitter: datagrams
	// overtake each other.
	Jitter time.Duration
}

// Network connects sockets. It is safe for concurrent use.
type Network struct {
	cfg Config

	mu     sync.Mutex
	rng    *rand.Rand
	hosts  map[netip.AddrPort]*Conn
	groups map[netip.AddrPort][]*Conn
	filter func(Packet) Verdict
	count  int
	stats  Stats
}

// Stats counts what happened to the datagrams of a network.
type Stats struct {
	Sent       int // handed to the network by a sender
	Delivered  int // placed in the inbox of a receiver, copies included
	Lost       int // dropped by chance, by the filter, or for want of room
	Unroutable int // sent to an address where nobody listens
}

// New returns an empty network.
func New(cfg Config) *Network {
	return &Network{
		cfg:    cfg,
		rng:    rand.New(rand.NewPCG(cfg.Seed, 0x6e657473696d)),
		hosts:  make(map[netip.AddrPort]*Conn),
		groups: make(map[netip.AddrPort][]*Conn),
	}
}

// Listen opens a unicast socket. A zero port picks a free one.
func (n *Network) Listen(addr netip.AddrPort) (Transport, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if addr.Port() == 0 {
		for p := uint16(49152); ; p++ {
			if p == 0 {
				return nil, fmt.Errorf("%w: no free port on %s", ErrAddressInUse, addr.Addr())
			}
			if try := netip.AddrPortFrom(addr.Addr(), p); n.hosts[try] == nil {
				addr = try
				break
			}
		}
	}
	if n.hosts[addr] != nil {
		return nil, fmt.Errorf("%w: %s", ErrAddressInUse, addr)
	}
	c := newConn(n, addr)
	n.hosts[addr] = c
	return c, nil
}

// ListenGroup opens a socket that receives what is sent to a multicast group.
// Any number of sockets may listen to one group. The interface name is not
// looked at: every address is on one link.
func (n *Network) ListenGroup(group netip.AddrPort, _ string) (Transport, error) {
	if !group.Addr().IsMulticast() {
		return nil, fmt.Errorf("%w: %s", ErrNotMulticast, group)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	c := newConn(n, group)
	n.groups[group] = append(n.groups[group], c)
	return c, nil
}

// InterfaceIndex gives every interface the index 1.
func (n *Network) InterfaceIndex(string) (int, error) { return 1, nil }

// SetFilter installs a function that decides over every datagram, before the
// random faults; nil removes it. It runs with the network locked and must not
// call back into it.
func (n *Network) SetFilter(f func(Packet) Verdict) {
	n.mu.Lock()
	n.filter = f
	n.mu.Unlock()
}

// Stats returns the counters.
func (n *Network) Stats() Stats {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.stats
}

func (n *Network) remove(c *Conn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.hosts[c.addr] == c {
		delete(n.hosts, c.addr)
	}
	members := n.groups[c.addr]
	for i, m := range members {
		if m == c {
			n.groups[c.addr] = append(members[:i:i], members[i+1:]...)
			break
		}
	}
}
