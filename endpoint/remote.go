package endpoint

import (
	"encoding/binary"
	"hash/maphash"
	"net/netip"
)

// remote is the other end of a message: its address and, where messages travel
// in a connection, the connection. What belongs to one remote never matches
// another, also if both have the same address and port: over UDP anybody can
// write any address as the sender's.
type remote struct {
	addr netip.AddrPort
	conn *socket // nil for UDP
}

// remote is who d came from.
func (d *datagram) remote() remote { return d.sock.remote(d.from) }

// remote is who has an address on this socket.
func (s *socket) remote(addr netip.AddrPort) remote {
	if s.conn == nil {
		return remote{addr: addr}
	}
	return remote{addr: addr, conn: s}
}

// writeTo hashes who d came from, and where it came to.
func (d *datagram) writeTo(h *maphash.Hash) {
	writeAddr(h, d.from)
	writeAddr(h, d.to)
	var id [8]byte
	binary.BigEndian.PutUint64(id[:], d.sock.id)
	h.Write(id[:])
}

func writeAddr(h *maphash.Hash, a netip.AddrPort) {
	b := a.Addr().As16()
	h.Write(b[:])
	h.WriteByte(byte(a.Port() >> 8))
	h.WriteByte(byte(a.Port()))
	h.WriteString(a.Addr().Zone())
}
