package endpoint

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// Do sends a unicast request and returns its response, of whatever code.
//
// A protected request gets only responses that verified; an error in clear ends
// the call with an *UnprotectedError. If the peer challenges the request with
// an Echo option it is sent once more with it (RFC 9175, Section 2.3). Without
// a deadline in ctx the call ends with ErrNoResponse after the lifetime of the
// exchange.
//
// If a No-Response option asks for no response of any class (RFC 7967), Do
// returns an empty Response once the request is acknowledged or, if it is not
// confirmable, sent.
func (e *Endpoint) Do(ctx context.Context, r Request) (*Response, error) {
	if r.To.Addr().IsMulticast() {
		return nil, fmt.Errorf("%w: %s is a group; use DoMulticast", ErrRequest, r.To)
	}
	resp, err := e.doOnce(ctx, &r)
	if errors.Is(err, ErrAgain) {
		resp, err = e.doOnce(ctx, &r)
	}
	if err != nil {
		return nil, err
	}
	if echo := challenge(&r, resp); echo != nil {
		r.Options = withEcho(r.Options, echo)
		return e.doOnce(ctx, &r)
	}
	return resp, nil
}

// challenge returns the Echo value that a response asks to be sent, nil if it
// does not, or if r carries one already.
func challenge(r *Request, resp *Response) []byte {
	if resp.Code != codes.Unauthorized || coapmsg.Has(r.Options, coapmsg.Echo) {
		return nil
	}
	echo, _ := coapmsg.Get(resp.Options, coapmsg.Echo)
	return echo
}

func (e *Endpoint) doOnce(ctx context.Context, r *Request) (*Response, error) {
	x, err := e.begin(ctx, r)
	if err != nil {
		return nil, err
	}
	defer e.end(x)
	if x.silent && !r.confirmable() {
		return &Response{Peer: Peer{Addr: r.To}}, nil
	}
	life := e.cfg.exchangeLifetime()
	if !r.confirmable() {
		life = e.cfg.nonLifetime()
	}
	expired, stop := e.after(life)
	defer stop()
	for {
		select {
		case a := <-x.ch:
			resp, err := e.openArrival(x, a)
			if err != nil {
				return nil, err
			}
			if resp != nil {
				return resp, nil
			}
		case err := <-x.failed:
			if errors.Is(err, errACK) {
				return &Response{Peer: Peer{Addr: r.To}}, nil
			}
			return nil, fmt.Errorf("%s: %w", r.To, err)
		case <-expired:
			return nil, fmt.Errorf("%s: %w", r.To, ErrNoResponse)
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-e.ctx.Done():
			return nil, ErrClosed
		}
	}
}

// after returns a channel that is closed after d.
func (e *Endpoint) after(d time.Duration) (expired <-chan struct{}, stop func()) {
	ch := make(chan struct{})
	t := e.cfg.Clock.AfterFunc(d, func() { close(ch) })
	return ch, func() { t.Stop() }
}
