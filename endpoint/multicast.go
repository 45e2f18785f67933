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
		m, err := r.groupMessage(e)
		if err != nil {
			yield(nil, err)
			return
		}
		x, err := e.begin(ctx, &r, m, nil, nil)
		if err != nil {
			yield(nil, err)
			return
		}
		defer e.end(x)
		if x.silent {
			return
		}
		c := e.newCollector(ctx, &r, m, x)
		defer c.stop()
		c.run(ctx, yield)
	}
}

// groupMessage makes a request that has to fit one message, as there is no
// block-wise request to a group (draft-ietf-core-groupcomm-bis, Section 3.8).
func (r *Request) groupMessage(e *Endpoint) (message.Message, error) {
	m, err := r.message()
	if err == nil && (len(m.Payload) > 16<<e.szx || coapmsg.Has(m.Options, message.Block1)) {
		err = fmt.Errorf("%w: a request to a group or for an observation fits one message", ErrRequest)
	}
	m.Options = e.smallBlocks(m.Options)
	return m, err
}

// collector gathers the responses to one group request. Servers that answer
// with a challenge are asked again, each by unicast
// (draft-ietf-core-oscore-groupcomm, Section 9); the further blocks of a
// response are fetched so too (draft-ietf-core-groupcomm-bis, Section 3.8).
type collector struct {
	e      *Endpoint
	r      *Request
	m      message.Message
	x      *exchange
	ctx    context.Context // of the unicast requests
	cancel context.CancelFunc
	wg     sync.WaitGroup

	pending  []followUp // not asked yet
	active   int
	answered chan *Response // nil for a request that failed
}

// followUps is how many challenged servers are asked again at once.
const followUps = 8

func (e *Endpoint) newCollector(ctx context.Context, r *Request, m message.Message, x *exchange) *collector {
	c := &collector{e: e, r: r, m: m, x: x, answered: make(chan *Response, followUps)}
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

// followUp is a unicast request to a server that answered a group request.
type followUp struct {
	r     Request
	m     message.Message
	first *Response // whose further blocks are wanted; nil: ask again
}

// askAgain takes a response that is a challenge, or a part.
func (c *collector) askAgain(resp *Response) bool {
	echo := challenge(resp)
	b, ok := getBlock(resp.Options, message.Block2)
	if echo == nil && (!ok || b == nil) || byHand(c.m.Options) || coapmsg.Has(c.m.Options, coapmsg.Echo) {
		return false
	}
	if len(c.pending) >= c.e.cfg.ResponseQueue {
		c.e.drop(DropResponseQueue)
		return true
	}
	f := followUp{r: *c.r, m: c.m}
	f.r.To, f.r.Security = resp.Peer.Addr, towards(c.r.Security, &resp.Peer)
	if echo != nil {
		f.m.Options = setOption(c.m.Options, message.Option{ID: coapmsg.Echo, Value: echo})
	} else {
		f.first = resp
	}
	c.pending = append(c.pending, f)
	c.next()
	return true
}

// towards is how requests to one server that answered a group request are
// protected.
func towards(p Protector, to *Peer) Protector {
	if u, ok := p.(unicaster); ok {
		return u.unicast(to)
	}
	return p
}

func (c *collector) next() {
	for c.active < followUps && len(c.pending) > 0 {
		f := c.pending[0]
		c.pending = c.pending[1:]
		c.active++
		c.wg.Go(func() {
			resp, err := f.run(c.ctx, c.e)
			if err != nil {
				c.e.cfg.Log.Debug("server of a group gave no whole answer by unicast", "peer", f.r.To, "error", err)
			}
			c.answered <- resp
		})
	}
}

func (f *followUp) run(ctx context.Context, e *Endpoint) (*Response, error) {
	if f.first == nil {
		var err error
		if f.first, err = e.roundTrip(ctx, &f.r, &f.m); err != nil {
			return nil, err
		}
	}
	return e.download(ctx, &f.r, f.m, f.first)
}
