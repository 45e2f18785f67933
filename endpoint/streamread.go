package endpoint

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/internal/coapmsg"
)

var (
	errIdle     = errors.New("connection was idle")
	errSilent   = errors.New("no sign of life")
	errEnded    = errors.New("peer closed the connection")
	errReleased = errors.New("peer released the connection")
	errAborted  = errors.New("peer aborted the connection")
)

// streamReader is the state of the reading goroutine.
type streamReader struct {
	*stream
	buf     []byte
	from    int  // buf[from:to] is not served yet
	to      int  //
	greeted bool // the peer's CSM was there
	asked   bool // a sign of life was asked for
	begun   time.Time
}

// read is the reading goroutine. Memory is taken as bytes arrive, never for a
// length that is only announced.
func (st *stream) read() {
	r := &streamReader{stream: st, buf: make([]byte, streamBuffer), begun: time.Now()}
	for {
		need, ok := r.serveAll()
		if !ok || !r.readMore(need) {
			return
		}
	}
}

// serveAll serves all messages that are there, and returns how many bytes the
// next one needs at least; false at the end of the connection.
func (r *streamReader) serveAll() (need int, ok bool) {
	for {
		b := r.buf[r.from:r.to]
		size, more, err := coapmsg.FrameSize(b)
		switch {
		case err != nil:
			r.abort("malformed message", nil)
			return 0, false
		case more == 0 && size > uint64(r.e.cfg.TCP.MaxMessageSize):
			r.abort("message is longer than announced", nil)
			return 0, false
		case more == 0 && uint64(len(b)) >= size:
			if !r.serve(b[:size]) {
				return 0, false
			}
			r.from += int(size)
			continue
		}
		return max(more, int(size)), true
	}
}

// readMore reads once, with room for a message of need bytes in the end.
func (r *streamReader) readMore(need int) bool {
	if r.from > 0 {
		r.to = copy(r.buf, r.buf[r.from:r.to])
		r.from = 0
		r.begun = time.Now()
	}
	switch {
	case r.to == 0 && len(r.buf) > streamBuffer:
		r.buf = make([]byte, streamBuffer)
	case r.to == len(r.buf):
		grown := make([]byte, min(2*len(r.buf), max(need, len(r.buf)+1)))
		copy(grown, r.buf)
		r.buf = grown
	}
	for {
		limit := r.e.cfg.TCP.IdleTime
		since := time.Now()
		switch {
		case r.to > 0 || !r.greeted:
			limit, since = r.e.cfg.TCP.Patience, r.begun
		case r.asked:
			limit = r.e.cfg.TCP.Patience
		}
		_ = r.c.SetReadDeadline(since.Add(limit))
		n, err := r.c.Read(r.buf[r.to:])
		if n > 0 {
			if r.to == 0 {
				r.begun = time.Now()
			}
			r.to += n
			r.asked = false
			r.s.conn.touch(r.e.cfg.Clock.Now())
			return true
		}
		switch {
		case err == nil:
			continue
		case !errors.Is(err, os.ErrDeadlineExceeded):
			if errors.Is(err, io.EOF) {
				err = errEnded
			}
			r.end(err)
			return false
		case !r.late():
			return false
		}
	}
}

// late decides when nothing came in time; false ends the connection.
func (r *streamReader) late() bool {
	switch {
	case r.to > 0:
		r.abort("message took too long", nil)
	case !r.greeted:
		r.abort("no CSM", nil)
	case r.asked:
		r.end(errSilent)
	case r.s.conn.dialed && !r.e.inUse(r.s):
		r.end(errIdle)
	default:
		r.asked = true
		return r.send(signal(coapmsg.Ping, nil, nil, nil)) == nil
	}
	return false
}

// serve takes one message; false ends the connection.
func (r *streamReader) serve(b []byte) bool {
	code, token, err := coapmsg.FrameHead(b)
	if err != nil {
		r.abort("malformed message", nil)
		return false
	}
	if !r.greeted {
		if code != coapmsg.CSM {
			r.abort("first message is no CSM", nil)
			return false
		}
		if !r.signalled(b) {
			return false
		}
		r.greeted = true
		close(r.ready)
		return true
	}
	d := datagram{data: b, from: r.s.conn.addr, to: r.s.local, sock: r.s}
	switch {
	case code == codes.Empty: // keeps an address translation alive, and is ignored
	case coapmsg.IsSignal(code):
		return r.signalled(b)
	case coapmsg.IsRequest(code):
		return r.request(d, token)
	case coapmsg.IsResponse(code):
		r.e.receiveStreamResponse(d, token)
	default:
		r.e.drop(DropSignalling)
	}
	return true
}

// request hands a request to the workers. A peer that asks faster than it is
// served has its connection read more slowly; after a while it is told 5.03, so
// that responses that this endpoint waits for get through.
func (r *streamReader) request(d datagram, token []byte) bool {
	if len(token) > r.e.cfg.MaxToken {
		r.abort(fmt.Sprintf("token is longer than %d bytes", r.e.cfg.MaxToken), nil)
		return false
	}
	if r.s.conn.released.Load() {
		r.e.drop(DropConnection)
		return true
	}
	in := r.e.plain
	if coapmsg.FrameClaimsOSCORE(d.data) {
		in = r.e.secure
	}
	f := newInflight(d, in)
	select {
	case r.slots <- struct{}{}:
		if r.e.await(f) {
			return true
		}
		<-r.slots
	default:
	}
	late, stop := r.e.after(r.e.cfg.ACKDelay)
	defer stop()
	select {
	case r.slots <- struct{}{}:
	case <-late:
		r.e.drop(DropPeerBusy)
		return r.send(unavailable(token)) == nil
	case <-r.done:
		return false
	}
	for !r.e.await(f) {
		select {
		case <-in.space:
		case <-late:
			<-r.slots
			r.e.drop(DropQueueFull)
			return r.send(unavailable(token)) == nil
		case <-r.done:
			return false
		}
	}
	return true
}
