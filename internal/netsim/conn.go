package netsim

import (
	"net"
	"net/netip"
	"sync"
)

// Conn is a socket of a [Network]. It is safe for concurrent use.
type Conn struct {
	net    *Network
	addr   netip.AddrPort
	inbox  chan Packet
	closed chan struct{}
	once   sync.Once
}

func newConn(n *Network, addr netip.AddrPort) *Conn {
	return &Conn{net: n, addr: addr, inbox: make(chan Packet, inboxSize), closed: make(chan struct{})}
}

// ReadFrom waits for the next datagram and copies it to b; what does not fit
// is cut off. It returns the sender, the destination address the sender named
// and the index of the interface (always 1). After Close it returns
// net.ErrClosed.
func (c *Conn) ReadFrom(b []byte) (n int, from, to netip.AddrPort, ifIndex int, err error) {
	select {
	case <-c.closed:
		return 0, from, to, 0, net.ErrClosed
	default:
	}
	select {
	case p := <-c.inbox:
		return copy(b, p.Data), p.From, p.To, 1, nil
	case <-c.closed:
		return 0, from, to, 0, net.ErrClosed
	}
}

// WriteTo sends a copy of b. It never blocks. The local address, the interface
// and the hop limit are not looked at.
func (c *Conn) WriteTo(b []byte, to netip.AddrPort, _ netip.Addr, _, _ int) error {
	select {
	case <-c.closed:
		return net.ErrClosed
	default:
	}
	c.net.send(c.addr, to, b)
	return nil
}

// LocalAddr returns the address of the socket; for a group socket, the group.
func (c *Conn) LocalAddr() netip.AddrPort { return c.addr }

// Close removes the socket from the network and wakes a waiting ReadFrom.
func (c *Conn) Close() error {
	c.once.Do(func() {
		close(c.closed)
		c.net.remove(c)
	})
	return nil
}
