package endpoint

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/pion/dtls/v3"

	"github.com/cohort-iot/cohort/internal/clock"
)

var (
	errReplaced = errors.New("peer opened another session")
)

// session is one DTLS session. To the DTLS engine it is the socket that the
// engine's records come by; to the endpoint it is a Transport with one remote.
type session struct {
	e      *Endpoint
	port   *port
	addr   netip.AddrPort
	from   netip.Addr // the local address that the remote speaks to
	socket *socket
	conn   *dtls.Conn // set before the handshake begins

	in       chan []byte // records for the engine
	gone     context.Context
	vanish   context.CancelFunc // the engine gets nothing any more
	deadline deadline
	since    time.Time // established
	once     sync.Once

	mu       sync.Mutex
	over     bool
	timer    clock.Timer // of idleness
	identity []byte      // that the client claimed; proven at the end of the handshake
}

func (p *port) newSession(addr netip.AddrPort, dialed bool) *session {
	s := &session{e: p.e, port: p, addr: addr, in: make(chan []byte, sessionQueue)}
	s.gone, s.vanish = context.WithCancel(context.Background())
	s.socket = &socket{Transport: sessionTransport{s}, local: p.t.LocalAddr(), validated: true, conn: &connection{via: ViaDTLS, addr: addr, dialed: dialed, stop: s.end, finish: s.end}}
	if dialed {
		s.socket.conn.run = s.read
	}
	return s
}

func (s *session) netAddr() net.Addr { return net.UDPAddrFromAddrPort(s.addr) }

// prove notes the identity of a client. It comes in an answer to a cookie, so the
// client is where it says.
func (s *session) prove(identity []byte) {
	s.mu.Lock()
	s.identity = append([]byte{}, identity...)
	s.mu.Unlock()
}

// proven is the identity of a client, nil before prove.
func (s *session) proven() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.identity
}

// young says whether the end of the handshake may still be repeated.
func (s *session) young() bool { return time.Since(s.since) < time.Minute }

// push gives a datagram to the engine, or drops it if the engine is behind.
func (s *session) push(b []byte) {
	select {
	case s.in <- bytes.Clone(b):
	default:
		s.e.drop(DropQueueFull)
	}
}

// abandon ends a handshake that failed.
func (s *session) abandon() {
	s.port.remove(s)
	if s.conn != nil {
		s.conn.Close()
	}
	s.vanish()
}

// end ends the session, telling the remote.
func (s *session) end(err error) {
	s.once.Do(func() {
		s.mu.Lock()
		s.over = true
		if s.timer != nil {
			s.timer.Stop()
		}
		s.mu.Unlock()
		s.port.remove(s)
		s.conn.Close()
		s.vanish()
		s.e.connEnded(s.socket, err)
	})
}

// read takes what the remote sends until the session ends.
func (s *session) read() {
	s.watch()
	buf := make([]byte, maxRecord)
	for {
		n, err := s.conn.Read(buf)
		if err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, dtls.ErrConnClosed) || s.gone.Err() != nil || s.e.ctx.Err() != nil {
				s.end(errEnded)
				return
			}
			s.e.cfg.Log.Debug("record ignored", "peer", s.addr, "error", err)
			continue
		}
		s.socket.conn.touch(s.e.cfg.Clock.Now())
		s.e.receive(datagram{data: buf[:n], from: s.addr, to: s.socket.local, sock: s.socket})
	}
}

// watch has the session end when it has been idle for long.
func (s *session) watch() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return
	}
	idle := time.Duration(s.e.cfg.Clock.Now().UnixNano() - s.socket.conn.used.Load())
	if idle >= s.e.cfg.DTLS.IdleTime && !s.e.inUse(s.socket) {
		s.e.wg.Go(func() { s.end(errIdle) })
		return
	}
	wait := s.e.cfg.DTLS.IdleTime - idle
	if wait <= 0 {
		wait = s.e.cfg.DTLS.IdleTime
	}
	s.timer = s.e.cfg.Clock.AfterFunc(wait, s.watch)
}

// sessionTransport is the endpoint's side of a session.
type sessionTransport struct{ *session }

func (t sessionTransport) LocalAddr() netip.AddrPort { return t.port.t.LocalAddr() }

func (t sessionTransport) Close() error {
	t.end(ErrClosed)
	return nil
}

// ReadFrom is not used: a session reads for itself.
func (sessionTransport) ReadFrom([]byte) (n int, from, to netip.AddrPort, ifIndex int, err error) {
	return 0, from, to, 0, net.ErrClosed
}

func (t sessionTransport) WriteTo(b []byte, _ netip.AddrPort, _ netip.Addr, _, _ int) error {
	_, err := t.conn.Write(b)
	return err
}

// What follows is the engine's side: a net.PacketConn.

func (s *session) LocalAddr() net.Addr { return s.port.Addr() }

func (s *session) ReadFrom(b []byte) (int, net.Addr, error) {
	expired := s.deadline.wait()
	select {
	case <-expired:
		return 0, nil, os.ErrDeadlineExceeded
	default:
	}
	select {
	case d := <-s.in:
		return copy(b, d), s.netAddr(), nil
	case <-expired:
		return 0, nil, os.ErrDeadlineExceeded
	case <-s.gone.Done():
		return 0, nil, net.ErrClosed
	}
}

func (s *session) WriteTo(b []byte, _ net.Addr) (int, error) {
	if s.gone.Err() != nil {
		return 0, net.ErrClosed
	}
	return len(b), s.port.t.WriteTo(b, s.addr, s.from, 0, 0)
}

// Close is called by the engine when it is done.
func (s *session) Close() error {
	s.vanish()
	return nil
}

func (s *session) SetDeadline(t time.Time) error      { return s.SetReadDeadline(t) }
func (s *session) SetReadDeadline(t time.Time) error  { s.deadline.set(t); return nil }
func (s *session) SetWriteDeadline(_ time.Time) error { return nil }

// deadline is a channel that closes at a time that may be moved.
type deadline struct {
	mu     sync.Mutex
	timer  *time.Timer
	closed chan struct{}
	fired  bool
}

func (d *deadline) wait() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed == nil {
		d.closed = make(chan struct{})
	}
	return d.closed
}

func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	if d.fired || d.closed == nil {
		d.closed, d.fired = make(chan struct{}), false
	}
	if t.IsZero() {
		return
	}
	ch := d.closed
	fire := func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.closed == ch && !d.fired {
			d.fired = true
			close(ch)
		}
	}
	if left := time.Until(t); left > 0 {
		d.timer = time.AfterFunc(left, fire)
	} else {
		d.fired = true
		close(ch)
	}
}
