//go:build unix

package endpoint

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
)

// reuseAddr lets several sockets be bound to one multicast group and port, or
// a group socket beside a wildcard socket on its port.
func reuseAddr(c syscall.RawConn) error {
	var err error
	if cerr := c.Control(func(fd uintptr) {
		err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
	}); cerr != nil {
		return cerr
	}
	return err
}

// bindGroup opens a socket that is bound to the group's own address and so
// gets nothing else. Package net cannot do that: asked for a multicast address
// it binds to the wildcard address, and the socket would take part in the
// unicast traffic of its port.
func bindGroup(group netip.AddrPort, ifi *net.Interface) (*net.UDPConn, error) {
	family, addr := syscall.AF_INET, syscall.Sockaddr(&syscall.SockaddrInet4{Port: int(group.Port())})
	if group.Addr().Is4() {
		addr.(*syscall.SockaddrInet4).Addr = group.Addr().As4()
	} else {
		in6 := &syscall.SockaddrInet6{Port: int(group.Port()), Addr: group.Addr().As16()}
		if ifi != nil {
			in6.ZoneId = uint32(ifi.Index)
		}
		family, addr = syscall.AF_INET6, in6
	}
	syscall.ForkLock.RLock()
	fd, err := syscall.Socket(family, syscall.SOCK_DGRAM, 0)
	if err == nil {
		syscall.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, fmt.Errorf("socket: %w", err)
	}
	f := os.NewFile(uintptr(fd), "group "+group.String())
	defer f.Close() // the connection has a copy
	if err := syscall.SetNonblock(fd, true); err != nil {
		return nil, fmt.Errorf("socket: %w", err)
	}
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return nil, fmt.Errorf("share %s: %w", group, err)
	}
	if family == syscall.AF_INET6 {
		if err := syscall.SetsockoptInt(fd, syscall.IPPROTO_IPV6, syscall.IPV6_V6ONLY, 1); err != nil {
			return nil, fmt.Errorf("ipv6 only: %w", err)
		}
	}
	if err := syscall.Bind(fd, addr); err != nil {
		return nil, fmt.Errorf("bind to %s: %w", group, err)
	}
	c, err := net.FilePacketConn(f)
	if err != nil {
		return nil, err
	}
	return c.(*net.UDPConn), nil
}
