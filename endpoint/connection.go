package endpoint

import (
	"net/netip"
	"sync/atomic"
	"time"
)

// connection is what a socket with a single remote has beyond a Transport.
type connection struct {
	via      Via
	addr     netip.AddrPort // of the remote
	dialed   bool           // by this endpoint
	stream   *stream        // of a TCP connection
	identity []byte         // that the remote proved in the DTLS handshake

	used     atomic.Int64 // when something last came, in nanoseconds of the clock
	released atomic.Bool  // the remote wants it to end: nothing new is sent by it
	stop     func(error)  // ends it at once
	run      func()       // reads what comes by a session; nil for TCP
	finish   func(error)  // ends it when what is to be sent is sent
}

// touch notes that something came.
func (c *connection) touch(now time.Time) { c.used.Store(now.UnixNano()) }

// via says how messages to and from a socket travel.
func (s *socket) via() Via {
	if s.conn == nil {
		return ViaUDP
	}
	return s.conn.via
}

// stream says whether a socket is a TCP connection: there are no message types
// and no Message IDs, nothing is lost, doubled or out of order, and nothing is
// acknowledged (RFC 8323, Section 3).
func (s *socket) stream() bool { return s.conn != nil && s.conn.stream != nil }

// maxMessage is the longest message, in bytes, that the remote of a connection
// takes; 0 where nothing is known, as with datagrams.
func (s *socket) maxMessage() int {
	if !s.stream() {
		return 0
	}
	return int(min(s.conn.stream.peerMax.Load(), 1<<30))
}

// maxPayload is the longest payload that is sent in one message; 0 where nothing
// is known and 1024 is right. It leaves room for header, token and options
// (RFC 7252, Section 4.6).
func (s *socket) maxPayload() int {
	n := s.maxMessage()
	if n == 0 {
		return 0
	}
	return max(n-messageOverhead, 16)
}

// fill adds to p what is known of a remote without any cryptography but that of
// its connection.
func (d *datagram) fill(p *Peer) {
	p.Addr, p.Multicast = d.from, d.sock.group
	d.sock.fill(p)
}

func (s *socket) fill(p *Peer) {
	p.Via = s.via()
	if s.conn != nil {
		p.Identity = s.conn.identity
	}
}
