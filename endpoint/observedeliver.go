package endpoint

import (
	"context"
	"errors"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"

	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// news takes a response that is the newest of its server.
func (o *observation) news(s *observed, resp *Response) {
	if s.stop != nil {
		s.stop() // what is being fetched is old
		s.stop = nil
	}
	s.fetch++
	_, observing := observeValue(resp)
	s.ended = !observing || !coapmsg.IsSuccess(resp.Code)
	s.due = time.Time{}
	if !s.ended {
		s.due = o.expiry(s, resp)
	}
	if b, ok := getBlock(resp.Options, message.Block2); ok && b != nil && !byHand(o.m.Options) {
		o.complete(s, resp)
		return
	}
	o.deliver(s, resp)
}

// expiry is when the next registration is due: some time after Max-Age, so that
// not all clients come at once (RFC 7641, Section 3.3.1), and regularly, as the
// freshness of notifications weakens (RFC 8613, Section 7.3).
func (o *observation) expiry(s *observed, resp *Response) time.Time {
	age := time.Minute
	if v, ok := coapmsg.Get(resp.Options, message.MaxAge); ok {
		if n, err := coapmsg.DecodeUint(v); err == nil {
			age = time.Duration(n) * time.Second
		}
	}
	slack := time.Duration((5 + 10*o.e.jitter()) * float64(time.Second))
	due := resp.Received.Add(age + slack)
	if latest := s.renewed.Add(renewAfter); due.After(latest) {
		due = latest
	}
	return due
}

// deliver hands a whole response to the caller.
func (o *observation) deliver(s *observed, resp *Response) {
	o.mu.Lock()
	s.news = resp
	if !s.queued {
		s.queued = true
		o.queue = append(o.queue, s)
	}
	if s.ended && !o.multi {
		o.over = ErrObservationEnded
	}
	o.mu.Unlock()
	o.signal()
	if s.ended && !o.multi {
		o.closing = true
	}
}

// finish ends an observation that cannot go on.
func (o *observation) finish(err error) {
	o.mu.Lock()
	if o.over == nil {
		o.over = err
	}
	o.mu.Unlock()
	o.closing = true
	o.signal()
}

func (o *observation) report(err error) {
	o.mu.Lock()
	if len(o.errs) < followUps {
		o.errs = append(o.errs, err)
	}
	o.mu.Unlock()
	o.signal()
}

func (o *observation) signal() {
	select {
	case o.ready <- struct{}{}:
	default:
	}
}

// next waits for news. last says that nothing more comes.
func (o *observation) next(ctx context.Context) (resp *Response, err error, last bool) {
	for {
		o.mu.Lock()
		switch {
		case len(o.queue) > 0:
			s := o.queue[0]
			o.queue = o.queue[1:]
			resp, s.news, s.queued = s.news, nil, false
			o.mu.Unlock()
			return resp, nil, false
		case len(o.errs) > 0:
			err := o.errs[0]
			o.errs = o.errs[1:]
			o.mu.Unlock()
			return nil, err, false
		case o.over != nil:
			err := o.over
			o.mu.Unlock()
			return nil, err, true
		}
		o.mu.Unlock()
		select {
		case <-o.ready:
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return nil, nil, true
			}
			return nil, ctx.Err(), true
		case <-o.e.ctx.Done():
			return nil, ErrClosed, true
		}
	}
}
