package endpoint

import (
	"context"
	"errors"
	"fmt"
	"iter"
)

// DoMulticast sends a request to a group and yields each response as it
// arrives and verifies, until the deadline of ctx; without one, until the
// leisure and 2 s have passed. What does not verify is dropped and counted.
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
		e.collect(ctx, x, yield)
	}
}

func (e *Endpoint) collect(ctx context.Context, x *exchange, yield func(*Response, error) bool) {
	var expired <-chan struct{}
	if _, ok := ctx.Deadline(); !ok {
		var stop func()
		expired, stop = e.after(e.cfg.Leisure + collectSlack)
		defer stop()
	}
	for {
		select {
		case a := <-x.ch:
			resp, _ := e.openArrival(x, a) // what does not verify is counted there
			if resp == nil {
				continue
			}
			e.release(x)
			if !yield(resp, nil) {
				return
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
	}
}
