package endpoint

import (
	"context"
	"sync"

	"github.com/plgd-dev/go-coap/v3/message/pool"
)

// messagePool lends messages to handlers. It stands in for pool.Pool of go-coap,
// which counts what it holds and does not notice what the collector takes: after some
// collections it believes itself full, and from then on each request costs two new
// messages, of 3 KiB.
type messagePool struct{ free sync.Pool }

// AcquireMessage lends an empty message.
func (p *messagePool) AcquireMessage(ctx context.Context) *pool.Message {
	m, ok := p.free.Get().(*pool.Message)
	if !ok {
		return pool.NewMessage(ctx)
	}
	m.SetContext(ctx)
	return m
}

// ReleaseMessage takes a message back.
func (p *messagePool) ReleaseMessage(m *pool.Message) {
	m.Reset()
	m.SetContext(context.Background())
	p.free.Put(m)
}
