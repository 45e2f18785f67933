package endpoint

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/pool"
	"github.com/plgd-dev/go-coap/v3/mux"
)

// conn is the mux.Conn a handler sees. An endpoint keeps no connections: this
// is a name for the peer of one request. What would send a message returns
// ErrConn, because how it is to be protected is not known here; Endpoint.Do
// sends requests.
type conn struct {
	e    *Endpoint
	peer netip.AddrPort
	via  Via

	mu  sync.Mutex
	ctx context.Context
}

var _ mux.Conn = (*conn)(nil)

func (c *conn) AcquireMessage(ctx context.Context) *pool.Message {
	return c.e.messages.AcquireMessage(ctx)
}

func (c *conn) ReleaseMessage(m *pool.Message) { c.e.messages.ReleaseMessage(m) }

func (c *conn) RemoteAddr() net.Addr {
	if c.via == ViaTCP {
		return net.TCPAddrFromAddrPort(c.peer)
	}
	return net.UDPAddrFromAddrPort(c.peer)
}

// NetConn returns nil: there is no connection.
func (c *conn) NetConn() net.Conn { return nil }

func (c *conn) Context() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ctx
}

// SetContextValue sets a value that lives as long as the request.
func (c *conn) SetContextValue(key, val any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ctx = context.WithValue(c.ctx, key, val)
}

// Sequence always returns 0.
func (c *conn) Sequence() uint64 { return 0 }

// Done is closed when the endpoint is closed.
func (c *conn) Done() <-chan struct{} { return c.e.ctx.Done() }

// AddOnClose has f called when the endpoint is closed.
func (c *conn) AddOnClose(f func()) { context.AfterFunc(c.e.ctx, f) }

// Close does nothing and says so.
func (c *conn) Close() error { return notOffered("Close") }

func (c *conn) Ping(context.Context) error { return notOffered("Ping") }

func (c *conn) WriteMessage(*pool.Message) error { return notOffered("WriteMessage") }

func (c *conn) Do(*pool.Message) (*pool.Message, error) { return nil, notOffered("Do") }

func (c *conn) Get(context.Context, string, ...message.Option) (*pool.Message, error) {
	return nil, notOffered("Get")
}

func (c *conn) Delete(context.Context, string, ...message.Option) (*pool.Message, error) {
	return nil, notOffered("Delete")
}

func (c *conn) Post(context.Context, string, message.MediaType, io.ReadSeeker, ...message.Option) (*pool.Message, error) {
	return nil, notOffered("Post")
}

func (c *conn) Put(context.Context, string, message.MediaType, io.ReadSeeker, ...message.Option) (*pool.Message, error) {
	return nil, notOffered("Put")
}

func (c *conn) Observe(context.Context, string, func(*pool.Message), ...message.Option) (mux.Observation, error) {
	return nil, notOffered("Observe")
}

func (c *conn) DoObserve(*pool.Message, func(*pool.Message)) (mux.Observation, error) {
	return nil, notOffered("DoObserve")
}

func (c *conn) NewGetRequest(context.Context, string, ...message.Option) (*pool.Message, error) {
	return nil, notOffered("NewGetRequest")
}

func (c *conn) NewObserveRequest(context.Context, string, ...message.Option) (*pool.Message, error) {
	return nil, notOffered("NewObserveRequest")
}

func (c *conn) NewPutRequest(context.Context, string, message.MediaType, io.ReadSeeker, ...message.Option) (*pool.Message, error) {
	return nil, notOffered("NewPutRequest")
}

func (c *conn) NewPostRequest(context.Context, string, message.MediaType, io.ReadSeeker, ...message.Option) (*pool.Message, error) {
	return nil, notOffered("NewPostRequest")
}

func (c *conn) NewDeleteRequest(context.Context, string, ...message.Option) (*pool.Message, error) {
	return nil, notOffered("NewDeleteRequest")
}

func notOffered(method string) error { return fmt.Errorf("%s: %w", method, ErrConn) }
