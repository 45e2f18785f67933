package endpoint

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// stream is the Transport of one TCP connection. It has two goroutines: one
// reads and sorts messages, one writes what is queued. Neither the peer's
// slowness nor its haste is felt by anybody else.
type stream struct {
	e *Endpoint
	c net.Conn
	s *socket

	// What the peer said of itself (RFC 8323, Section 5.3; RFC 8974,
	// Section 2.2.1).
	peerMax    atomic.Uint32
	peerToken  atomic.Uint32
	peerBlocks atomic.Bool

	ready chan struct{} // closed when the peer's first CSM is there
	slots chan struct{} // one for each request that waits or is in work

	done chan struct{} // closed when the connection has ended
	once sync.Once

	mu      sync.Mutex
	queue   net.Buffers
	waiting int  // bytes queued or being written
	last    bool // nothing is queued any more; the connection ends after it
	err     error
	wake    chan struct{}
}

// newStream makes a socket of a connection. It does nothing until start.
func (e *Endpoint) newStream(c net.Conn, dialed bool) *socket {
	st := &stream{e: e, c: c, ready: make(chan struct{}), slots: make(chan struct{}, e.cfg.PerPeer), done: make(chan struct{}), wake: make(chan struct{}, 1)}
	st.peerMax.Store(coapmsg.BaseMessageSize)
	st.peerToken.Store(8)
	st.s = &socket{Transport: st, local: streamAddr(c.LocalAddr()), validated: true, reliable: true, conn: &connection{
		via: ViaTCP, addr: streamAddr(c.RemoteAddr()), dialed: dialed, stream: st,
	}}
	st.s.conn.stop = st.end
	st.s.conn.finish = func(err error) { st.finish(nil, err) }
	return st.s
}

func (st *stream) start() {
	st.send(st.csm())
	st.e.wg.Go(st.write)
	st.e.wg.Go(st.read)
}

// greeted waits for the peer's first CSM.
func (st *stream) greeted(ctx context.Context) error {
	select {
	case <-st.ready:
		return nil
	case <-st.done:
		st.mu.Lock()
		defer st.mu.Unlock()
		return st.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// takesBERT says whether the CSMs of the peer let it be sent BERT blocks, the
// latest Max-Message-Size counting (RFC 8323, Section 5.3.2).
func (st *stream) takesBERT() bool {
	return st.peerBlocks.Load() && st.peerMax.Load() > coapmsg.BaseMessageSize
}

func (st *stream) isDone() bool {
	select {
	case <-st.done:
		return true
	default:
		return false
	}
}

func (st *stream) LocalAddr() netip.AddrPort { return st.s.local }

// Close ends the connection.
func (st *stream) Close() error {
	st.end(ErrClosed)
	return nil
}

// ReadFrom is not used: a stream reads for itself.
func (st *stream) ReadFrom([]byte) (n int, from, to netip.AddrPort, ifIndex int, err error) {
	return 0, from, to, 0, net.ErrClosed
}

// WriteTo queues a message, which it keeps. It never waits: a peer that takes
// too little loses its connection.
func (st *stream) WriteTo(b []byte, _ netip.AddrPort, _ netip.Addr, _, _ int) error {
	return st.send(b)
}

var errSlow = errors.New("peer takes too little")

func (st *stream) send(b []byte) error {
	st.mu.Lock()
	if st.last {
		err := st.err
		st.mu.Unlock()
		return fmt.Errorf("%w: %w", ErrConnection, err)
	}
	if st.waiting+len(b) > st.e.cfg.TCP.SendBuffer && st.waiting > 0 {
		st.mu.Unlock()
		st.e.drop(DropConnection)
		st.end(errSlow)
		return errSlow
	}
	st.queue = append(st.queue, b)
	st.waiting += len(b)
	st.mu.Unlock()
	st.rouse()
	return nil
}

func (st *stream) rouse() {
	select {
	case st.wake <- struct{}{}:
	default:
	}
}

// finish ends the connection once b and what was queued before it is written.
func (st *stream) finish(b []byte, err error) {
	st.mu.Lock()
	if !st.last {
		st.last, st.err = true, err
		st.queue = append(st.queue, b)
	}
	st.mu.Unlock()
	st.rouse()
}

// end ends the connection at once. A peer that is there and reads is told why,
// if that can be had without waiting.
func (st *stream) end(err error) {
	st.once.Do(func() {
		st.mu.Lock()
		polite := !st.last && len(st.queue) == 0
		if !st.last {
			st.last, st.err = true, err
		}
		err := st.err
		st.mu.Unlock()
		if polite {
			st.farewell(err)
		}
		st.c.Close()
		close(st.done)
		st.e.connEnded(st.s, err)
	})
}

// farewell says Release to a peer whose connection this endpoint does not want
// any longer.
func (st *stream) farewell(err error) {
	if errors.Is(err, ErrClosed) || errors.Is(err, errIdle) {
		_ = st.c.SetWriteDeadline(time.Now().Add(farewellTime))
		_, _ = st.c.Write(signal(coapmsg.Release, nil, nil, nil))
	}
}

// write is the writing goroutine.
func (st *stream) write() {
	var spare net.Buffers
	for {
		select {
		case <-st.wake:
		case <-st.done:
			return
		}
		st.mu.Lock()
		out, last := st.queue, st.last
		st.queue = spare[:0]
		st.mu.Unlock()
		size := 0
		for _, b := range out {
			size += len(b)
		}
		if size > 0 {
			_ = st.c.SetWriteDeadline(time.Now().Add(st.e.cfg.TCP.Patience))
			bufs := out
			if _, err := bufs.WriteTo(st.c); err != nil {
				st.end(fmt.Errorf("write: %w", err))
				return
			}
		}
		clear(out)
		spare = out
		st.mu.Lock()
		st.waiting -= size
		st.mu.Unlock()
		if last {
			st.end(nil)
			return
		}
	}
}
