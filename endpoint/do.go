package endpoint

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// Do sends a unicast request and returns its response, of whatever code. Bodies
// that are too long for one message are transferred block by block, in both
// directions, so that the response is whole (RFC 7959). To do that oneself, set
// a Block1 option, or a Block2 option for another block than the first.
//
// A protected request gets only responses that verified; an error in clear ends
// the call with an *UnprotectedError. If the peer challenges the request with
// an Echo option it is sent once more with it (RFC 9175, Section 2.3). Without
// a deadline in ctx the call ends with ErrNoResponse after the lifetime of the
// exchange.
//
// A peer that is asked more than about a hundred times a second for long uses up
// the Message IDs of the endpoint's port (RFC 7252, Section 4.4): calls then use
// ports of their own, and wait only where that cannot be.
//
// If a No-Response option asks for no response of any class (RFC 7967), Do
// returns an empty Response once the request is acknowledged or, if it is not
// confirmable, sent.
func (e *Endpoint) Do(ctx context.Context, r Request) (*Response, error) {
	if r.To.Addr().IsMulticast() {
		return nil, fmt.Errorf("%w: %s is a group; use DoMulticast", ErrRequest, r.To)
	}
	m, err := r.message()
	if err != nil {
		return nil, err
	}
	r.outlet = &outlet{}
	defer e.relief.leave(r.outlet)
	if byHand(m.Options) {
		return e.roundTrip(ctx, &r, &m)
	}
	m.Options = e.smallBlocks(m.Options)
	resp, err := e.upload(ctx, &r, &m)
	if err != nil {
		return nil, err
	}
	return e.download(ctx, &r, m, resp)
}

// smallBlocks asks for responses in blocks of the endpoint's size, if that is
// not the usual one (RFC 7959, Section 2.4).
func (e *Endpoint) smallBlocks(opts message.Options) message.Options {
	if e.szx == maxSZX || coapmsg.Has(opts, message.Block2) {
		return opts
	}
	return coapmsg.Insert(opts, block{szx: e.szx}.option(message.Block2))
}

// byHand says whether the caller transfers single blocks.
func byHand(opts message.Options) bool {
	b, ok := getBlock(opts, message.Block2)
	return !ok || b != nil && b.num > 0 || coapmsg.Has(opts, message.Block1)
}

// roundTrip sends one message and returns its response. A challenge is answered;
// the Echo option then stays in m, for the messages that follow.
func (e *Endpoint) roundTrip(ctx context.Context, r *Request, m *message.Message) (*Response, error) {
	resp, err := e.doOnce(ctx, r, *m)
	for tries := 0; errors.Is(err, ErrAgain) && tries < 2; tries++ {
		resp, err = e.doOnce(ctx, r, *m)
	}
	if err != nil {
		return nil, err
	}
	if echo := challenge(resp); echo != nil && !coapmsg.Has(r.Options, coapmsg.Echo) {
		m.Options = setOption(m.Options, message.Option{ID: coapmsg.Echo, Value: echo})
		return e.doOnce(ctx, r, *m)
	}
	return resp, nil
}

// challenge returns the Echo value that a response asks to be sent, nil if it
// does not.
func challenge(resp *Response) []byte {
	if resp.Code != codes.Unauthorized {
		return nil
	}
	echo, _ := coapmsg.Get(resp.Options, coapmsg.Echo)
	return echo
}

// doOnce sends m and waits for the response to it.
func (e *Endpoint) doOnce(ctx context.Context, r *Request, m message.Message) (*Response, error) {
	if r.Security != nil && r.OuterBlockSize > 0 {
		return e.doOuter(ctx, r, m)
	}
	x, err := e.begin(ctx, r, m, nil, nil)
	if err != nil {
		return nil, err
	}
	defer e.end(x)
	if x.silent && (!r.confirmable() || x.sock.stream()) {
		return &Response{Peer: Peer{Addr: r.To}}, nil
	}
	life := e.cfg.exchangeLifetime()
	if !r.confirmable() && !x.sock.stream() {
		life = e.cfg.nonLifetime()
	}
	expired, stop := e.after(life)
	defer stop()
	for {
		select {
		case a := <-x.ch:
			resp, err := e.takeArrival(ctx, r, x, a)
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
			if e.shortenToken(x, err) {
				return nil, ErrAgain
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

// takeArrival opens what arrived for x; if a proxy cut the protected message
// into Outer blocks, all of them are fetched first.
func (e *Endpoint) takeArrival(ctx context.Context, r *Request, x *exchange, a arrival) (*Response, error) {
	m, ok := e.parseArrival(a)
	if !ok {
		return nil, nil
	}
	if x.opener != nil && x.opener != (unchanged{}) && isOuterBlock(m) {
		e.release(x) // the rest is asked for by requests of their own
		var err error
		if m, err = e.outerRest(ctx, r, x, m); err != nil {
			return nil, err
		}
	}
	return e.openMessage(x, m, a)
}

// after returns a channel that is closed after d.
func (e *Endpoint) after(d time.Duration) (expired <-chan struct{}, stop func()) {
	ch := make(chan struct{})
	t := e.cfg.Clock.AfterFunc(d, func() { close(ch) })
	return ch, func() { t.Stop() }
}
