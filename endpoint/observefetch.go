package endpoint

import (
	"context"
	"errors"
	"fmt"

	"github.com/plgd-dev/go-coap/v3/message"
)

// complete fetches the further blocks of a notification (RFC 7959,
// Section 2.6), by requests of their own, unless a newer one comes.
func (o *observation) complete(s *observed, first *Response) {
	ctx, cancel := context.WithCancel(o.ctx)
	s.stop = cancel
	n := s.fetch
	r, m := o.r, o.m
	if o.multi {
		r.To, r.Security = first.Peer.Addr, towards(o.r.Security, &first.Peer)
	}
	m.Options = withoutOptions(o.m.Options, message.Observe)
	o.wg.Go(func() {
		defer cancel()
		select {
		case o.slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		resp, err := o.e.download(ctx, &r, m, first)
		select {
		case o.fetched <- fetched{s, n, resp, err}:
		case <-o.ctx.Done():
		}
	})
}

// whole takes a representation that was fetched.
func (o *observation) whole(f fetched) {
	if f.n != f.s.fetch {
		return // there is a newer one
	}
	f.s.stop = nil
	switch {
	case f.err == nil:
		o.deliver(f.s, f.resp)
		return
	case f.s.ended && !o.multi:
		o.finish(f.err)
		return
	}
	if !errors.Is(f.err, context.Canceled) {
		// Ask for it once more, in a while.
		o.report(fmt.Errorf("%s: %w: %w", f.s.peer.Addr, ErrStale, f.err))
		f.s.due = o.e.cfg.Clock.Now().Add(renewRetry)
	}
}
