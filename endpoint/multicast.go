package endpoint

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"

	"github.com/plgd-dev/go-coap/v3/message"

	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// DoMulticast sends a request to a group and yields each response as it
// arrives and verifies, until the deadline of ctx; without one, until the
// leisure and 2 s have passed. What does not verify is dropped and counted. If
// a No-Response option asks for no response at all, it does not wait.
//
// The end of time ends the iteration without an error. A canceled context or a
// closed endpoint ends it with one; what was yielded before remains valid. The
// caller may stop at any time.
func (e *Endpoint) DoMulticast(ctx context.Context, r Request) iter.Seq2[*Response, error] {
	return func(yield func(*Response, error) bool) {
		if !r.To.Addr().IsMulticast() {
			yield(nil, fmt.Errorf("%w: %s is no group", ErrRequest, r.To))
			return
		}
		if r.Security == nil && !e.cfg.InsecurePlainMulticast {
			yield(nil, ErrInsecureMulticast)
			return
		}
		x, err := e.begin(ctx, &r)
		if err != nil {
			yield(nil, err)
			return
		}
		defer e.end(x)
		if x.silent {
			return
		}
		c := e.newCollector(ctx, &r, x)
		defer c.stop()
		c.run(ctx, yield)
	}
}

// collector gathers the responses to one group request. Servers that answer
// with a challenge are asked again, each by unicast
// (draft-ietf-core-oscore-groupcomm, Section 9).
type collector struct {
	e      *Endpoint
	r      *Request
	x      *exchange
	ctx    context.Context // of the unicast requests
	cancel context.CancelFunc
	wg     sync.WaitGroup

	pending  []Request // not asked yet
	active   int
	answered chan *Response // nil for a request that failed
}

// followUps is how many challenged servers are asked again at once.
const followUps = 8

func (e *Endpoint) newCollector(ctx context.Context, r *Request, x *exchange) *collector {
	c := &collector{e: e, r: r, x: x, answered: make(chan *Response, followUps)}
	c.ctx, c.cancel = context.WithCancel(ctx)
	return c
}

func (c *collector) stop() {
	c.cancel()
	c.wg.Wait()
}

func (c *collector) run(ctx context.Context, yield func(*Response, error) bool) {
	e := c.e
	var expired <-chan struct{}
	if _, ok := ctx.Deadline(); !ok {
		var stop func()
		expired, stop = e.after(e.cfg.Leisure + collectSlack)
		defer stop()
	}
	for {
		var resp *Response
		select {
		case a := <-c.x.ch:
			resp, _ = e.openArrival(c.x, a) // what does not verify is counted there
			if resp == nil {
				continue
			}
			e.release(c.x)
			if c.askAgain(resp) {
				continue
			}
		case resp = <-c.answered:
			c.active--
			c.next()
			if resp == nil {
				continue
			}
		case <-expired:
			return
		case <-ctx.Done():
			if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
				yield(nil, ctx.Err())
			}
			return
		case <-e.ctx.Done():
			yield(nil, ErrClosed)
			return
		}
		if !yield(resp, nil) {
			return
		}
	}
}

// askAgain takes a response that is a challenge.
func (c *collector) askAgain(resp *Response) bool {
	echo := challenge(c.r, resp)
	u, ok := c.r.Security.(unicaster)
	if echo == nil || !ok || len(c.pending) >= c.e.cfg.ResponseQueue {
		return false
	}
	again := *c.r
	again.To, again.Security = resp.Peer.Addr, u.unicast(&resp.Peer)
	again.Options = withEcho(c.r.Options, echo)
	c.pending = append(c.pending, again)
	c.next()
	return true
}

func (c *collector) next() {
	for c.active < followUps && len(c.pending) > 0 {
		r := c.pending[0]
		c.pending = c.pending[1:]
		c.active++
		c.wg.Go(func() {
			resp, err := c.e.doOnce(c.ctx, &r)
			if err != nil {
				c.e.cfg.Log.Debug("challenged server did not answer", "peer", r.To, "error", err)
			}
			c.answered <- resp
		})
	}
}

func withEcho(opts message.Options, echo []byte) message.Options {
	return append(append(message.Options{}, opts...), message.Option{ID: coapmsg.Echo, Value: echo})
}
