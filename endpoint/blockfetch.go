package endpoint

import (
	"bytes"
	"context"
	"fmt"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// fetchAgain is how often a body is fetched from the beginning because it
// changed meanwhile.
const fetchAgain = 3

// download completes a response that has a Block2 option (RFC 7959,
// Section 2.4): it asks for the other blocks with the options of the request m.
// If the representation changes meanwhile, that of a safe request is fetched
// anew.
func (e *Endpoint) download(ctx context.Context, r *Request, m message.Message, first *Response) (*Response, error) {
	for attempt := 0; ; attempt++ {
		b, ok := getBlock(first.Options, message.Block2)
		if ok && b == nil {
			return first, nil
		}
		resp, changed, err := e.downloadOnce(ctx, r, &m, first)
		if !changed || attempt == fetchAgain || !isSafe(m.Code) {
			return resp, err
		}
		again := m
		again.Options = withoutOptions(m.Options, message.Observe)
		if first, err = e.roundTrip(ctx, r, &again); err != nil {
			return nil, err
		}
	}
}

// downloadOnce gathers the blocks of one representation. changed says that the
// error comes from there being another one now.
func (e *Endpoint) downloadOnce(ctx context.Context, r *Request, m *message.Message, first *Response) (whole *Response, changed bool, err error) {
	fail := func(changed bool, format string, args ...any) (*Response, bool, error) {
		e.drop(DropBlock)
		return nil, changed, fmt.Errorf("%s: %w: %s", r.To, ErrBlock, fmt.Sprintf(format, args...))
	}
	if size := announced(first.Options, message.Size2); size > uint32(e.cfg.MaxBody) {
		return fail(false, "body of %d bytes is longer than %d", size, e.cfg.MaxBody)
	}
	out := *first
	tag, _ := coapmsg.Get(first.Options, message.ETag)
	var body []byte
	resp := first
	for {
		b, ok := getBlock(resp.Options, message.Block2)
		switch {
		case !ok || b == nil || !e.readable(*b, resp.Peer.Via) || !b.fits(len(resp.Payload)):
			return fail(false, "impossible block")
		case b.offset() != len(body):
			return fail(false, "block at byte %d instead of %d", b.offset(), len(body))
		case len(body)+len(resp.Payload) > e.cfg.MaxBody:
			return fail(false, "body is longer than %d bytes", e.cfg.MaxBody)
		}
		if !b.more && body == nil {
			body = resp.Payload
		} else {
			body = append(body, resp.Payload...)
		}
		if !b.more {
			break
		}
		next := nextBlock(m, resp, block{num: uint32(len(body) / b.size()), szx: b.szx}, r.cutFor(ctx, e))
		if resp, err = e.roundTrip(ctx, r, &next); err != nil {
			return nil, false, err
		}
		e.keepEcho(m, &next, resp)
		other, _ := coapmsg.Get(resp.Options, message.ETag)
		switch {
		case resp.Code == codes.RequestEntityIncomplete:
			return fail(true, "the server has lost it")
		case resp.Code != out.Code:
			return fail(true, "answered by %s", coapmsg.CodeString(resp.Code))
		case !bytes.Equal(tag, other):
			return fail(true, "the representation has changed")
		}
		out.Received, out.Bytes = resp.Received, out.Bytes+resp.Bytes
	}
	out.Payload = body
	out.Options = withoutOptions(first.Options, message.Block2, message.Size2)
	return &out, false, nil
}

// nextBlock makes the request for a later block. It repeats the payload only if
// that is part of what a FETCH asks for and was sent in one message
// (RFC 7959, Section 3.3; RFC 8132, Section 2.1).
func nextBlock(m *message.Message, resp *Response, b block, c cutting) message.Message {
	if c.bert == 0 {
		b.szx = min(b.szx, maxSZX)
	}
	next := *m
	next.Options = withoutOptions(m.Options, message.Observe, message.ETag, message.Block2, coapmsg.NoResponse)
	next.Options = coapmsg.Insert(next.Options, b.option(message.Block2))
	if m.Code != coapmsg.FETCH || len(m.Payload) > c.whole {
		next.Payload = nil
	}
	if v, ok := coapmsg.Get(resp.Options, coapmsg.Echo); ok {
		next.Options = setOption(next.Options, message.Option{ID: coapmsg.Echo, Value: v})
	}
	return next
}
