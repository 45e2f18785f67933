package netsim

import (
	"bytes"
	"net/netip"
	"time"
)

// Packet is a datagram on its way to one receiver.
type Packet struct {
	// N counts the datagrams that senders handed to the network, from 1. The
	// copies of one multicast datagram share a number.
	N int
	// From is the sender's socket, To the destination it named (for multicast
	// the group), Receiver the socket that is to get this copy.
	From, To, Receiver netip.AddrPort
	// Data is the datagram. A filter must not change it.
	Data []byte
}

// Verdict is what a filter decides about a packet. The zero value lets it
// pass.
type Verdict struct {
	Drop      bool
	Duplicate int           // number of additional copies
	Delay     time.Duration // in addition to the network's own
}

// send routes one datagram. Called by a Conn.
func (n *Network) send(from, to netip.AddrPort, data []byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.stats.Sent++
	n.count++
	var receivers []*Conn
	if to.Addr().IsMulticast() {
		receivers = n.groups[to]
	} else if c := n.hosts[to]; c != nil {
		receivers = []*Conn{c}
	}
	if len(receivers) == 0 {
		n.stats.Unroutable++
		return
	}
	data = bytes.Clone(data)
	for _, c := range receivers {
		n.route(c, Packet{N: n.count, From: from, To: to, Receiver: c.addr, Data: data})
	}
}

// route applies filter and faults to one copy. The network is locked.
func (n *Network) route(c *Conn, p Packet) {
	var v Verdict
	if n.filter != nil {
		v = n.filter(p)
	}
	if v.Drop || n.chance(n.cfg.Loss) {
		n.stats.Lost++
		return
	}
	copies := 1 + v.Duplicate
	if n.chance(n.cfg.Duplicate) {
		copies++
	}
	for range copies {
		d := n.cfg.Delay + v.Delay
		if n.cfg.Jitter > 0 {
			d += time.Duration(n.rng.Int64N(int64(n.cfg.Jitter)))
		}
		if d <= 0 {
			n.arrive(c, p)
			continue
		}
		time.AfterFunc(d, func() {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.arrive(c, p)
		})
	}
}

// arrive puts a packet into the receiver's inbox. The network is locked.
func (n *Network) arrive(c *Conn, p Packet) {
	select {
	case c.inbox <- p:
		n.stats.Delivered++
	default:
		n.stats.Lost++
	}
}

func (n *Network) chance(p float64) bool { return p > 0 && n.rng.Float64() < p }
