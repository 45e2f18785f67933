package endpoint

import "net/netip"

// Transport is a datagram socket, unicast or bound to a multicast group. It is
// an alias of an interface literal, so that an implementation (the simulated
// network of internal/netsim is one) need not import this package.
//
// ReadFrom blocks for the next datagram and returns its size, its sender, the
// local address it was sent to (the group for multicast) and the index of the
// interface it came in by, 0 if unknown. It returns net.ErrClosed after Close.
//
// WriteTo sends one datagram and does not wait for anything but the kernel.
// from selects the local address when the socket is bound to a wildcard
// address; ifIndex and hopLimit apply to multicast destinations. Their zero
// values leave the choice to the system.
type Transport = interface {
	ReadFrom(b []byte) (n int, from, to netip.AddrPort, ifIndex int, err error)
	WriteTo(b []byte, to netip.AddrPort, from netip.Addr, ifIndex, hopLimit int) error
	LocalAddr() netip.AddrPort
	Close() error
}

// Network opens sockets. The default is [UDP].
type Network interface {
	// Listen opens a unicast socket; port 0 picks a free one.
	Listen(addr netip.AddrPort) (Transport, error)
	// ListenGroup opens a socket that gets only what is sent to the group,
	// joined on the named interface; an empty name leaves the choice to the
	// system.
	ListenGroup(group netip.AddrPort, ifName string) (Transport, error)
	// InterfaceIndex resolves the name of an interface for Transport.WriteTo.
	InterfaceIndex(name string) (int, error)
}

// socket is a transport with its place in the endpoint.
type socket struct {
	Transport
	local netip.AddrPort
	group bool
	// validated says that the transport itself shows where peers are, so that
	// answers need no limit; reliable that it loses nothing, so that messages
	// are not acknowledged.
	validated, reliable bool
	conn                *connection // what a connection is beyond a socket; nil for UDP
	id                  uint64      // of a connection, never used again; 0 for UDP
	mids                messageIDs
	relief              *reliefUse // of a relief socket
}

// MulticastGroup is a CoAP group: the address and port that requests to it are
// sent to (draft-ietf-core-groupcomm-bis, Section 2.1.1).
type MulticastGroup struct {
	// Addr is the multicast address and port. A link-local IPv6 address needs
	// its zone or the Interface.
	Addr netip.AddrPort
	// Interface is the name of the interface to join on; empty leaves the
	// choice to the system, which looks for a multicast route.
	Interface string
}
