package endpoint

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"
)

// port is a socket that carries DTLS sessions, and tells them apart by their
// address. A datagram from a stranger costs nothing unless it is the beginning
// of a handshake; handshakes are bounded, and until a client has returned a
// cookie its handshake is the first to go.
type port struct {
	e      *Endpoint
	t      Transport
	server bool

	mu       sync.Mutex
	sessions map[netip.AddrPort]*session
	// Handshakes: beside an established session with the same address, which
	// lives on until the new one is complete (RFC 6347, Section 4.2.8).
	pending map[netip.AddrPort]*session
	order   []*session // of pending, oldest first
	closed  bool
}

func (e *Endpoint) openPort(addr netip.AddrPort, server bool) (*port, error) {
	t, err := e.cfg.Network.Listen(addr)
	if err != nil {
		return nil, err
	}
	p := &port{e: e, t: t, server: server, sessions: make(map[netip.AddrPort]*session), pending: make(map[netip.AddrPort]*session)}
	e.wg.Go(p.read)
	return p, nil
}

// clientPort is the socket for sessions that this endpoint opens, opened when it
// is first needed.
func (e *Endpoint) clientPort(to netip.Addr) (*port, error) {
	local := e.socketFor(to).local.Addr()
	e.portsMu.Lock()
	defer e.portsMu.Unlock()
	if e.ctx.Err() != nil {
		return nil, ErrClosed
	}
	if p := e.ports[local]; p != nil {
		return p, nil
	}
	p, err := e.openPort(netip.AddrPortFrom(local, 0), false)
	if err != nil {
		return nil, err
	}
	if e.ports == nil {
		e.ports = make(map[netip.Addr]*port)
	}
	e.ports[local] = p
	return p, nil
}

func (e *Endpoint) closePorts() (errs []error) {
	e.portsMu.Lock()
	defer e.portsMu.Unlock()
	for _, p := range e.ports {
		errs = append(errs, p.Close())
	}
	return errs
}

// Accept is not used: a port serves its sessions itself.
func (p *port) Accept() (net.Conn, error) { return nil, net.ErrClosed }

// Addr implements net.Listener.
func (p *port) Addr() net.Addr { return net.UDPAddrFromAddrPort(p.t.LocalAddr()) }

// Close ends the handshakes and closes the socket.
func (p *port) Close() error {
	p.mu.Lock()
	p.closed = true
	pending := p.order
	p.mu.Unlock()
	for _, s := range pending {
		s.vanish()
	}
	return p.t.Close()
}

// read is the loop over the socket. It never waits.
func (p *port) read() {
	buf := make([]byte, maxDatagram)
	for {
		n, from, to, _, err := p.t.ReadFrom(buf)
		if err != nil {
			if p.e.ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			if !p.e.pause(10 * time.Millisecond) {
				return
			}
			continue
		}
		p.receive(buf[:n], from, to)
	}
}

func (p *port) receive(b []byte, from, to netip.AddrPort) {
	first, ok := classify(b)
	if !ok {
		p.e.drop(DropMalformed)
		return
	}
	p.mu.Lock()
	established, pending := p.sessions[from], p.pending[from]
	var fresh, victim *session
	if pending == nil && first.hello && p.server && !p.closed {
		fresh, victim = p.admit(from, to)
		pending = fresh
	}
	p.mu.Unlock()
	if victim != nil {
		p.e.drop(DropHandshake)
		victim.vanish()
	}
	// A record that is not protected can be anybody's: an established session
	// gets none, but what repeats the end of its handshake.
	if established != nil && (first.protected || first.handshake && !first.hello && established.young()) {
		established.push(b)
	}
	if pending != nil {
		pending.push(b)
	}
	switch {
	case fresh != nil:
		p.e.wg.Go(fresh.serve)
	case established == nil && pending == nil:
		p.e.drop(DropUnexpected)
	}
}

// admit makes room for a handshake and begins it. p.mu is held.
func (p *port) admit(from, to netip.AddrPort) (fresh, victim *session) {
	if len(p.pending) >= p.e.cfg.DTLS.Handshakes {
		for _, s := range p.order {
			if s.proven() == nil {
				victim = s
				break
			}
		}
		if victim == nil {
			p.e.drop(DropHandshake)
			return nil, nil
		}
		p.forget(victim)
	}
	s := p.newSession(from, false)
	s.from = to.Addr()
	p.pending[from] = s
	p.order = append(p.order, s)
	return s, victim
}

// enter registers the handshake of a session that this endpoint opens.
func (p *port) enter(s *session) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.pending[s.addr] != nil {
		return false
	}
	p.pending[s.addr] = s
	p.order = append(p.order, s)
	return true
}

// establish turns a handshake into a session; old is the one it replaces.
func (p *port) establish(s *session) (old *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forget(s)
	old = p.sessions[s.addr]
	p.sessions[s.addr] = s
	s.since = time.Now()
	return old
}

// forget takes a handshake out. p.mu is held.
func (p *port) forget(s *session) {
	if p.pending[s.addr] == s {
		delete(p.pending, s.addr)
	}
	for i, o := range p.order {
		if o == s {
			p.order = append(p.order[:i:i], p.order[i+1:]...)
			return
		}
	}
}

// remove takes a session out.
func (p *port) remove(s *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forget(s)
	if p.sessions[s.addr] == s {
		delete(p.sessions, s.addr)
	}
}

// kind is what the records of a datagram are.
type kind struct{ hello, handshake, protected bool }

// Record types and sizes of DTLS 1.2 (RFC 6347, Section 4.1).
const (
	recordHeader     = 13
	recordCCS        = 20
	recordAlert      = 21
	recordHandshake  = 22
	handshakeHello   = 1
	leastClientHello = recordHeader + 12 + 2 + 32 + 1 + 1 + 4 + 2
)

// classify looks at the records of a datagram; ok is false if they are none of
// DTLS 1.x, or of an epoch there is not, or if an unprotected one has no place
// in a handshake.
func classify(b []byte) (k kind, ok bool) {
	if len(b) == 0 {
		return k, false
	}
	for first := true; len(b) > 0; first = false {
		if len(b) < recordHeader || b[1] != 0xfe || b[2] != 0xfd && b[2] != 0xff {
			return k, false
		}
		n := recordHeader + int(b[11])<<8 + int(b[12])
		if len(b) < n {
			return k, false
		}
		switch epoch := int(b[3])<<8 | int(b[4]); {
		case epoch == 1:
			k.protected = true
		case epoch > 1:
			return k, false
		case b[0] == recordHandshake:
			k.handshake = true
			if first && n >= leastClientHello && b[recordHeader] == handshakeHello {
				k.hello = true
			}
		case b[0] != recordCCS && b[0] != recordAlert:
			return k, false
		}
		b = b[n:]
	}
	return k, true
}
