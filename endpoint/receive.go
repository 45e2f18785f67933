package endpoint

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// datagram is what came in, with where from and where to.
type datagram struct {
	data     []byte
	from, to netip.AddrPort
	ifIndex  int
	sock     *socket // that it came in by
}

// header is the fixed part of a message.
type header struct {
	typ   message.Type
	code  codes.Code
	mid   uint16
	token []byte
	rest  []byte // options and payload
}

// parseHeader reads the fixed part (RFC 7252, Section 3). known is false if
// the version is another, and nothing may be answered.
func parseHeader(b []byte) (h header, known, ok bool) {
	if len(b) < 1 || b[0]>>6 != 1 {
		return h, false, false
	}
	if len(b) < 4 {
		return h, false, false
	}
	h.typ = message.Type(b[0] >> 4 & 3)
	h.code = codes.Code(b[1])
	h.mid = binary.BigEndian.Uint16(b[2:])
	n, used, err := coapmsg.TokenLength(b[0]&15, b[4:])
	if err != nil || len(b) < 4+used+n {
		return h, true, false
	}
	h.token, h.rest = b[4+used:4+used+n], b[4+used+n:]
	if h.code == codes.Empty && len(b) != 4 {
		return h, true, false
	}
	return h, true, true
}

// read is the loop over one socket. It parses no more than the header, keeps
// nothing for a stranger and never waits.
func (e *Endpoint) read(s *socket) {
	buf := make([]byte, maxDatagram)
	for {
		n, from, to, ifIndex, err := s.ReadFrom(buf)
		if err != nil {
			if e.ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			// An error of one datagram, or want of memory: go on, but not
			// in a tight loop.
			e.cfg.Log.Debug("read failed", "socket", s.local, "error", err)
			if !e.pause(10 * time.Millisecond) {
				return
			}
			continue
		}
		if !s.group && to.Addr().IsMulticast() {
			continue // the group's own socket has a copy
		}
		e.receive(datagram{data: buf[:n], from: from, to: to, ifIndex: ifIndex, sock: s})
	}
}

// pause waits; it reports false when the endpoint is closed meanwhile.
func (e *Endpoint) pause(d time.Duration) bool {
	wake := make(chan struct{})
	t := e.cfg.Clock.AfterFunc(d, func() { close(wake) })
	defer t.Stop()
	select {
	case <-wake:
		return true
	case <-e.ctx.Done():
		return false
	}
}

// receive sorts one datagram. d.data is only valid during the call.
func (e *Endpoint) receive(d datagram) {
	h, known, ok := parseHeader(d.data)
	if !ok {
		e.drop(DropMalformed)
		if known && h.typ == message.Confirmable && !d.sock.group {
			e.sendEmpty(d, message.Reset, h.mid)
		}
		return
	}
	switch {
	case h.code == codes.Empty:
		e.receiveEmpty(d, h)
	case coapmsg.IsRequest(h.code):
		e.receiveRequest(d, h)
	case coapmsg.IsResponse(h.code):
		e.receiveResponse(d, h)
	default:
		// A reserved class, or TCP signalling: a confirmable message is
		// rejected (RFC 7252, Sections 4.2 and 12.1).
		e.drop(DropSignalling)
		if h.typ == message.Confirmable && !d.sock.group {
			e.sendEmpty(d, message.Reset, h.mid)
		}
	}
}

// receiveEmpty takes ACK, RST and ping.
func (e *Endpoint) receiveEmpty(d datagram, h header) {
	switch h.typ {
	case message.Acknowledgement, message.Reset:
		if d.sock.group || !e.transmit.settle(&d, h.mid, h.typ == message.Reset) {
			e.drop(DropUnexpected)
		}
	case message.Confirmable:
		if !d.sock.group {
			e.sendEmpty(d, message.Reset, h.mid) // CoAP ping, RFC 7252, Section 4.3
		}
	default:
		e.drop(DropMalformed) // an empty NON means nothing
	}
}

// receiveRequest hands a request to the workers, if there is room.
func (e *Endpoint) receiveRequest(d datagram, h header) {
	switch {
	case h.typ != message.Confirmable && h.typ != message.NonConfirmable:
		e.drop(DropMalformed) // requests in ACK or RST do not exist
		return
	case d.sock.group && h.typ == message.Confirmable:
		e.drop(DropMulticastCON) // RFC 7252, Section 8.1
		return
	case len(h.token) > e.cfg.MaxToken:
		e.refuseToken(d, h)
		return
	}
	in := e.plain
	if coapmsg.ClaimsOSCORE(h.rest) {
		in = e.secure
	}
	if f := newInflight(d, in); !e.await(f) {
		e.refuseQueued(f)
	}
}

// await has a request wait for a worker, if there is room.
func (e *Endpoint) await(f *inflight) bool {
	ok, evicted := f.in.add(f)
	e.refuseQueued(evicted)
	return ok
}

// newInflight is a request that waits for a worker, with a copy of its datagram.
func newInflight(d datagram, in *intake) *inflight {
	f := &inflight{d: d, in: in}
	if len(d.data) <= len(f.small) {
		f.d.data = f.small[:copy(f.small[:], d.data)]
	} else {
		f.d.data = bytes.Clone(d.data)
	}
	return f
}

// refuseQueued drops requests that there is no room for.
func (e *Endpoint) refuseQueued(f *inflight) {
	for ; f != nil; f = f.next {
		if f.crowded {
			e.drop(DropPeerBusy)
		} else {
			e.drop(DropQueueFull)
		}
		if f.d.sock.stream() {
			e.refuseStream(f)
		}
	}
}

// sendEmpty answers d with an empty message.
func (e *Endpoint) sendEmpty(d datagram, typ message.Type, mid uint16) {
	b := [4]byte{0x40 | byte(typ)<<4, 0, byte(mid >> 8), byte(mid)}
	e.send(e.answerSocket(d), b[:], d.from, e.answerAddr(d))
}

// answerSocket is the socket that answers to d leave by: for multicast a
// unicast socket.
func (e *Endpoint) answerSocket(d datagram) *socket {
	if d.sock.group {
		return e.socketFor(d.from.Addr())
	}
	return d.sock
}

// answerAddr is the local address that answers to d leave from.
func (e *Endpoint) answerAddr(d datagram) netip.Addr {
	if d.sock.group {
		return netip.Addr{}
	}
	return d.to.Addr()
}
