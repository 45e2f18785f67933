package endpoint

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// listener accepts connections.
type listener struct {
	via   Via
	local netip.AddrPort
	net.Listener
}

// ListenAddrs returns the addresses, with their real ports, that the endpoint
// can be reached at by one way, in the order of the configuration.
func (e *Endpoint) ListenAddrs(v Via) []netip.AddrPort {
	if v == ViaUDP {
		return e.LocalAddrs()
	}
	var addrs []netip.AddrPort
	for _, l := range e.listeners {
		if l.via == v {
			addrs = append(addrs, l.local)
		}
	}
	return addrs
}

// leave frees the place of a request of a connection that is finished.
func (e *Endpoint) leave(d *datagram) {
	if d.sock.stream() {
		<-d.sock.conn.stream.slots
		e.endReleased(d.sock)
	}
}

// serveStream takes one request of a connection through the layers.
func (e *Endpoint) serveStream(f *inflight) {
	m, err := coapmsg.ParseFrame(f.d.data)
	if err != nil {
		e.drop(DropMalformed)
		f.d.sock.conn.stream.abort("malformed message", nil) // RFC 8323, Section 5.6
		return
	}
	f.token = m.Token
	e.process(f, m)
}

// refuseStream answers a request of a connection that lost its place.
func (e *Endpoint) refuseStream(f *inflight) {
	if _, token, err := coapmsg.FrameHead(f.d.data); err == nil {
		_ = f.d.sock.conn.stream.send(unavailable(token))
	}
	e.leave(&f.d)
}

// sendFrame sends a response by the connection that its request came by
// (RFC 8323, Section 3.3). What the peer cannot take is not sent.
func (e *Endpoint) sendFrame(f *inflight, resp message.Message) {
	data, err := coapmsg.AppendFrame(nil, resp)
	if err == nil && len(data) > f.d.sock.maxMessage() {
		e.cfg.Log.Warn("response is longer than the peer takes", "peer", f.d.from, "bytes", len(data), "limit", f.d.sock.maxMessage())
		e.drop(DropProtect)
		data, err = coapmsg.AppendFrame(nil, message.Message{Code: codes.InternalServerError, Token: f.token, Payload: []byte("response too long")})
	}
	if err != nil {
		e.drop(DropProtect)
		e.cfg.Log.Error("response cannot be encoded", "error", err)
		return
	}
	e.send(f.d.sock, data, f.d.from, netip.Addr{})
}

// sendStreamRequest sends a request by a connection.
func (e *Endpoint) sendStreamRequest(x *exchange, m message.Message) error {
	m.Token = x.token
	data, err := coapmsg.AppendFrame(nil, m)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRequest, err)
	}
	if limit := x.sock.maxMessage(); len(data) > limit {
		return fmt.Errorf("%w: message of %d bytes, and the peer takes %d", ErrRequest, len(data), limit)
	}
	err = x.sock.WriteTo(data, x.to.addr, netip.Addr{}, 0, 0)
	e.release(x) // NSTART is for want of congestion control
	return err
}

// sendStreamNotification sends a notification by a connection, where nothing is
// acknowledged (RFC 8323, Section 7.2).
func (e *Endpoint) sendStreamNotification(s *socket, m message.Message) {
	data, err := coapmsg.AppendFrame(nil, m)
	if err != nil || len(data) > s.maxMessage() {
		e.drop(DropProtect)
		e.cfg.Log.Error("notification cannot be sent", "bytes", len(data), "limit", s.maxMessage(), "error", err)
		return
	}
	e.send(s, data, s.conn.addr, netip.Addr{})
}

// receiveStreamResponse takes a response that came by a connection.
func (e *Endpoint) receiveStreamResponse(d datagram, token message.Token) {
	x := e.tokens.find(token, d.remote())
	if x == nil {
		e.drop(DropUnexpected)
		return
	}
	select {
	case x.ch <- arrival{bytes.Clone(d.data), d.from, e.cfg.Clock.Now(), d.sock}:
	default:
		e.drop(DropResponseQueue)
	}
}

// inUse says whether something is expected from a connection, or by its remote.
func (e *Endpoint) inUse(s *socket) bool {
	if s.stream() && len(s.conn.stream.slots) > 0 {
		return true
	}
	return e.tokens.uses(s) || e.observers.uses(s)
}

// uses says whether somebody observes by a connection.
func (n *observers) uses(s *socket) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, ob := range n.entries {
		if ob.sock == s {
			return true
		}
	}
	return false
}

// uses says whether an exchange needs a connection.
func (t *tokenTable) uses(s *socket) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, x := range t.m {
		if x.to.conn == s {
			return true
		}
	}
	return false
}

// endReleased ends a connection that the remote has released, once nothing is
// owed to anybody (RFC 8323, Section 5.5).
func (e *Endpoint) endReleased(s *socket) {
	if s != nil && s.conn != nil && s.conn.released.Load() && !e.inUse(s) {
		s.conn.finish(errReleased)
	}
}

// connEnded cleans up after a connection: what waits for a response from it
// waits no longer.
func (e *Endpoint) connEnded(s *socket, err error) {
	e.conns.remove(s)
	e.observers.dropSocket(s) // RFC 8323, Section 7.4
	if err == nil {
		err = ErrClosed
	}
	if e.ctx.Err() != nil {
		err = ErrClosed
	} else {
		e.cfg.Log.Debug("connection ended", "via", s.via(), "peer", s.conn.addr, "cause", err)
		err = fmt.Errorf("%w: %w", ErrConnection, err)
	}
	for _, x := range e.tokens.of(s) {
		x.fail(err)
	}
}

// of returns the exchanges that need a connection.
func (t *tokenTable) of(s *socket) (xs []*exchange) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, x := range t.m {
		if x.to.conn == s {
			xs = append(xs, x)
		}
	}
	return xs
}

// refuseToken answers a request whose token is too long to be kept, echoing it
// all the same: a Reset would say that long tokens are not known at all
// (RFC 8974, Section 2.2.2).
func (e *Endpoint) refuseToken(d datagram, h header) {
	e.drop(DropToken)
	if d.sock.group {
		return
	}
	m := message.Message{Code: codes.BadRequest, Token: h.token, Type: message.Acknowledgement, MessageID: int32(h.mid)}
	if h.typ != message.Confirmable {
		m.Type, m.MessageID = message.NonConfirmable, int32(e.transmit.answerTo(d.sock, d.remote(), h.mid).mid)
	}
	if b, err := coapmsg.AppendDatagram(nil, m); err == nil {
		e.send(e.answerSocket(d), b, d.from, e.answerAddr(d))
	}
}
