package endpoint

import (
	"fmt"
	"net"
	"net/netip"
	"sync"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// UDP is the Network of real sockets. The zero value is ready to use.
//
// A unicast socket belongs to one address family: "[::]:5683" gets IPv6 only.
// A group socket is bound to the group's address with SO_REUSEADDR, so that
// several processes of one host can be members; unicast sockets are exclusive.
type UDP struct{}

// InterfaceIndex implements Network.
func (UDP) InterfaceIndex(name string) (int, error) {
	ifi, err := net.InterfaceByName(name)
	if err != nil {
		return 0, fmt.Errorf("interface %q: %w", name, err)
	}
	return ifi.Index, nil
}

// Listen implements Network.
func (UDP) Listen(addr netip.AddrPort) (Transport, error) {
	c, err := listenUDP(addr)
	if err != nil {
		return nil, err
	}
	s := &udpSocket{conn: c, local: localAddr(c), v4: addr.Addr().Is4()}
	s.wildcard = s.local.Addr().IsUnspecified()
	if err := s.prepareUnicast(); err != nil {
		c.Close()
		return nil, err
	}
	return s, nil
}

// ListenGroup implements Network.
func (UDP) ListenGroup(group netip.AddrPort, ifName string) (Transport, error) {
	if !group.Addr().IsMulticast() {
		return nil, fmt.Errorf("%s is not a multicast address", group.Addr())
	}
	var ifi *net.Interface
	if ifName == "" {
		ifName = group.Addr().Zone()
	}
	if ifName != "" {
		var err error
		if ifi, err = net.InterfaceByName(ifName); err != nil {
			return nil, fmt.Errorf("interface %q: %w", ifName, err)
		}
		if group.Addr().IsLinkLocalMulticast() && group.Addr().Is6() {
			group = netip.AddrPortFrom(group.Addr().WithZone(ifName), group.Port())
		}
	}
	c, err := bindGroup(group, ifi)
	if err != nil {
		return nil, err
	}
	ip := &net.UDPAddr{IP: group.Addr().AsSlice()}
	if group.Addr().Is4() {
		err = ipv4.NewPacketConn(c).JoinGroup(ifi, ip)
	} else {
		err = ipv6.NewPacketConn(c).JoinGroup(ifi, ip)
	}
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("join %s on %q: %w", group.Addr(), ifName, err)
	}
	return &udpSocket{conn: c, local: group, v4: group.Addr().Is4()}, nil
}

// receiveBuffer is how many bytes of datagrams the kernel is asked to keep until
// they are read, its own records of them included: some thousand, for when a
// fleet speaks up at once. It gives no more than net.core.rmem_max.
const receiveBuffer = 4 << 20

func listenUDP(addr netip.AddrPort) (*net.UDPConn, error) {
	network := "udp6"
	if addr.Addr().Is4() {
		network = "udp4"
	}
	c, err := net.ListenUDP(network, net.UDPAddrFromAddrPort(addr))
	if err != nil {
		return nil, err
	}
	// A smaller buffer, where the system refuses this one, loses datagrams
	// earlier; the senders send them again.
	_ = c.SetReadBuffer(receiveBuffer)
	return c, nil
}

func localAddr(c *net.UDPConn) netip.AddrPort {
	ap := c.LocalAddr().(*net.UDPAddr).AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// udpSocket is a Transport over net.UDPConn. Only a wildcard socket asks the
// kernel for control messages: any other knows its address.
type udpSocket struct {
	conn     *net.UDPConn
	local    netip.AddrPort
	v4       bool
	wildcard bool
	oob      [128]byte // of the one reader

	mu  sync.Mutex // multicast hop limit and send belong together on IPv4
	ttl int
}

// prepareUnicast asks for control messages and sets what outgoing multicast
// needs: looped back, and by the interface of the local address.
func (s *udpSocket) prepareUnicast() error {
	ifi := interfaceOf(s.local.Addr())
	if s.v4 {
		p := ipv4.NewPacketConn(s.conn)
		if s.wildcard {
			if err := s.shareWithGroups(); err != nil {
				return err
			}
			if err := p.SetControlMessage(ipv4.FlagDst|ipv4.FlagInterface, true); err != nil {
				return fmt.Errorf("control messages: %w", err)
			}
		}
		if ifi != nil {
			if err := p.SetMulticastInterface(ifi); err != nil {
				return fmt.Errorf("multicast interface: %w", err)
			}
		}
		s.ttl = 1
		return p.SetMulticastLoopback(true)
	}
	p := ipv6.NewPacketConn(s.conn)
	if s.wildcard {
		if err := s.shareWithGroups(); err != nil {
			return err
		}
		if err := p.SetControlMessage(ipv6.FlagDst|ipv6.FlagInterface, true); err != nil {
			return fmt.Errorf("control messages: %w", err)
		}
	}
	if ifi != nil {
		if err := p.SetMulticastInterface(ifi); err != nil {
			return fmt.Errorf("multicast interface: %w", err)
		}
	}
	return p.SetMulticastLoopback(true)
}

// shareWithGroups lets group sockets be bound to the port of a wildcard socket.
// It comes after the bind, so that a second wildcard socket, which would take
// the unicast datagrams away, is still refused.
func (s *udpSocket) shareWithGroups() error {
	rc, err := s.conn.SyscallConn()
	if err != nil {
		return err
	}
	return reuseAddr(rc)
}

// interfaceOf finds the interface whose network holds a; nil if none does.
// Loopback does not carry the MULTICAST flag on Linux and is found all the
// same.
func interfaceOf(a netip.Addr) *net.Interface {
	if a.IsUnspecified() {
		return nil
	}
	ifs, err := net.Interfaces()
	if err != nil {
		return nil
	}
	for i := range ifs {
		addrs, err := ifs[i].Addrs()
		if err != nil {
			continue
		}
		for _, n := range addrs {
			if p, ok := n.(*net.IPNet); ok && p.Contains(a.AsSlice()) && (a.Zone() == "" || a.Zone() == ifs[i].Name) {
				return &ifs[i]
			}
		}
	}
	return nil
}

func (s *udpSocket) LocalAddr() netip.AddrPort { return s.local }
func (s *udpSocket) Close() error              { return s.conn.Close() }

func (s *udpSocket) ReadFrom(b []byte) (n int, from, to netip.AddrPort, ifIndex int, err error) {
	if !s.wildcard {
		n, from, err = s.conn.ReadFromUDPAddrPort(b)
		return n, unmap(from), s.local, 0, err
	}
	n, on, _, from, err := s.conn.ReadMsgUDPAddrPort(b, s.oob[:])
	if err != nil {
		return 0, from, to, 0, err
	}
	dst, ifIndex := s.parseControl(s.oob[:on])
	if !dst.IsValid() {
		dst = s.local.Addr()
	}
	return n, unmap(from), netip.AddrPortFrom(dst, s.local.Port()), ifIndex, nil
}

func (s *udpSocket) parseControl(oob []byte) (netip.Addr, int) {
	var ip net.IP
	var index int
	if s.v4 {
		var cm ipv4.ControlMessage
		if cm.Parse(oob) == nil {
			ip, index = cm.Dst, cm.IfIndex
		}
	} else {
		var cm ipv6.ControlMessage
		if cm.Parse(oob) == nil {
			ip, index = cm.Dst, cm.IfIndex
		}
	}
	a, _ := netip.AddrFromSlice(ip)
	return a.Unmap(), index
}

func unmap(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

func (s *udpSocket) WriteTo(b []byte, to netip.AddrPort, from netip.Addr, ifIndex, hopLimit int) error {
	multicast := to.Addr().IsMulticast()
	if !multicast && (!s.wildcard || !from.IsValid()) {
		_, err := s.conn.WriteToUDPAddrPort(b, to)
		return err
	}
	if !multicast {
		// The interface of a unicast answer is found by the routing table,
		// or named by the zone of a link-local address.
		ifIndex = 0
	}
	if s.v4 {
		return s.write4(b, to, from, ifIndex, hopLimit, multicast)
	}
	cm := ipv6.ControlMessage{IfIndex: ifIndex, Src: s.source(from)}
	if multicast {
		cm.HopLimit = hopLimit
	}
	_, _, err := s.conn.WriteMsgUDPAddrPort(b, cm.Marshal(), to)
	return err
}

// source is the local address to name in a control message; nil leaves it to
// the routing table. One that names an interface must name the address too, or
// the system takes the first of the interface.
func (s *udpSocket) source(from netip.Addr) net.IP {
	switch {
	case !s.wildcard:
		return s.local.Addr().AsSlice()
	case from.IsValid():
		return from.AsSlice()
	}
	return nil
}

func (s *udpSocket) write4(b []byte, to netip.AddrPort, from netip.Addr, ifIndex, hopLimit int, multicast bool) error {
	cm := ipv4.ControlMessage{IfIndex: ifIndex, Src: s.source(from)}
	oob := cm.Marshal()
	if !multicast {
		_, _, err := s.conn.WriteMsgUDPAddrPort(b, oob, to)
		return err
	}
	if hopLimit == 0 {
		hopLimit = 1
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if hopLimit != s.ttl {
		if err := ipv4.NewPacketConn(s.conn).SetMulticastTTL(hopLimit); err != nil {
			return fmt.Errorf("hop limit: %w", err)
		}
		s.ttl = hopLimit
	}
	_, _, err := s.conn.WriteMsgUDPAddrPort(b, oob, to)
	return err
}
