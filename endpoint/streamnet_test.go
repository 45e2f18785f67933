package endpoint_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/internal/netsim"
)

// streams adds connections to a simulated network: pipes, which hold nothing,
// so that a peer that does not read is felt at once.
type streams struct {
	*netsim.Network
	mu        sync.Mutex
	listeners map[netip.AddrPort]*pipeListener
	host      netip.Addr // that connections come from
	port      uint16
}

func newStreams(n *netsim.Network) *streams {
	return &streams{Network: n, listeners: map[netip.AddrPort]*pipeListener{}, host: clientAddr.Addr(), port: 50000}
}

type pipeListener struct {
	n    *streams
	addr netip.AddrPort
	in   chan net.Conn
	done chan struct{}
	once sync.Once
}

func (n *streams) ListenStream(addr netip.AddrPort) (net.Listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.listeners[addr] != nil {
		return nil, errors.New("address in use")
	}
	l := &pipeListener{n: n, addr: addr, in: make(chan net.Conn), done: make(chan struct{})}
	n.listeners[addr] = l
	return l, nil
}

func (n *streams) DialStream(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	n.mu.Lock()
	l := n.listeners[to]
	n.port++
	from := netip.AddrPortFrom(n.host, n.port)
	n.mu.Unlock()
	if l == nil {
		return nil, errors.New("connection refused")
	}
	a, b := net.Pipe()
	select {
	case l.in <- pipe{b, to, from}:
		return pipe{a, from, to}, nil
	case <-l.done:
		return nil, errors.New("connection refused")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.in:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() {
		close(l.done)
		l.n.mu.Lock()
		delete(l.n.listeners, l.addr)
		l.n.mu.Unlock()
	})
	return nil
}

func (l *pipeListener) Addr() net.Addr { return net.TCPAddrFromAddrPort(l.addr) }

type pipe struct {
	net.Conn
	local, remote netip.AddrPort
}

func (p pipe) LocalAddr() net.Addr  { return net.TCPAddrFromAddrPort(p.local) }
func (p pipe) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(p.remote) }

// rawStream is a peer made of single messages.
type rawStream struct {
	t testing.TB
	net.Conn
	buf []byte
	in  chan []byte // what came, message by message; closed at the end
}

// connect opens a connection to a server. Everything that comes is taken.
func connect(t testing.TB, n *streams, to netip.AddrPort) *rawStream {
	t.Helper()
	c, err := n.DialStream(context.Background(), to)
	if err != nil {
		t.Fatal(err)
	}
	return newRawStream(t, c)
}

func newRawStream(t testing.TB, c net.Conn) *rawStream {
	r := &rawStream{t: t, Conn: c, in: make(chan []byte, 1000)}
	t.Cleanup(func() { c.Close() })
	go func() {
		defer close(r.in)
		for {
			size, need, err := coapmsg.FrameSize(r.buf)
			if err != nil {
				return
			}
			if need == 0 && uint64(len(r.buf)) >= size {
				r.in <- bytes.Clone(r.buf[:size])
				r.buf = r.buf[size:]
				continue
			}
			b := make([]byte, 4096)
			n, err := c.Read(b)
			if err != nil {
				return
			}
			r.buf = append(r.buf, b[:n]...)
		}
	}()
	return r
}

// greeted opens a connection and exchanges the first messages.
func greeted(t testing.TB, n *streams, to netip.AddrPort, opts ...message.Option) *rawStream {
	t.Helper()
	r := connect(t, n, to)
	r.put(message.Message{Code: coapmsg.CSM, Options: opts})
	if m := r.next(time.Second); m.Code != coapmsg.CSM {
		t.Fatalf("first message %+v", m)
	}
	return r
}

func (r *rawStream) put(m message.Message) {
	r.t.Helper()
	b, err := coapmsg.AppendFrame(nil, m)
	if err != nil {
		r.t.Fatal(err)
	}
	r.write(b)
}

func (r *rawStream) write(b []byte) {
	r.t.Helper()
	_ = r.SetWriteDeadline(time.Now().Add(time.Minute))
	if _, err := r.Write(b); err != nil && !errors.Is(err, io.ErrClosedPipe) {
		r.t.Fatal(err)
	}
}

// get sends a GET with a token.
func (r *rawStream) get(token, path string) {
	r.t.Helper()
	r.put(message.Message{Code: codes.GET, Token: message.Token(token), Options: message.Options{{ID: message.URIPath, Value: []byte(path)}}})
}

// next waits for a message.
func (r *rawStream) next(d time.Duration) message.Message {
	r.t.Helper()
	select {
	case b, ok := <-r.in:
		if !ok {
			r.t.Fatal("the connection has ended")
		}
		m, err := coapmsg.ParseFrame(b)
		if err != nil {
			r.t.Fatalf("%x: %v", b, err)
		}
		return m
	case <-time.After(d):
		r.t.Fatalf("nothing in %v", d)
	}
	return message.Message{}
}

func (r *rawStream) nothing(d time.Duration) {
	r.t.Helper()
	select {
	case b, ok := <-r.in:
		r.t.Fatalf("received %x, %v", b, ok)
	case <-time.After(d):
	}
}

// ended waits for the end of the connection.
func (r *rawStream) ended(d time.Duration) {
	r.t.Helper()
	select {
	case b, ok := <-r.in:
		if ok {
			r.t.Fatalf("received %x", b)
		}
	case <-time.After(d):
		r.t.Fatalf("still open after %v", d)
	}
}
