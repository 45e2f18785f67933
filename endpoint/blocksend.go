package endpoint

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// upload sends a request, block by block if its body is long (RFC 7959,
// Section 2.5), and returns the response to the whole; m is what later messages
// of the same operation repeat. If the server lost the blocks before, it starts
// over, once.
func (e *Endpoint) upload(ctx context.Context, r *Request, m *message.Message) (*Response, error) {
	if len(m.Payload) == 0 {
		return e.roundTrip(ctx, r, m)
	}
	c := r.cutFor(ctx, e)
	if len(m.Payload) <= c.whole {
		return e.roundTrip(ctx, r, m)
	}
	if len(m.Payload) > maxMaxBody {
		return nil, fmt.Errorf("%w: body of %d bytes", ErrRequest, len(m.Payload))
	}
	for again := false; ; again = true {
		resp, err := e.uploadOnce(ctx, r, m, c)
		if err != nil {
			return nil, err
		}
		if !again && resp.Code == codes.RequestEntityIncomplete {
			continue
		}
		return resp, nil
	}
}

// uploadOnce sends the blocks of one body and returns the response to the last
// one, or to the one that was refused.
func (e *Endpoint) uploadOnce(ctx context.Context, r *Request, m *message.Message, c cutting) (resp *Response, err error) {
	// All blocks carry a tag that no other body has, so that nobody can mix
	// blocks of two bodies (RFC 9175, Section 3.4).
	m.Options = setOption(m.Options, message.Option{ID: coapmsg.RequestTag, Value: e.requestTag()})
	body := m.Payload
	for offset := 0; ; {
		b := block{szx: c.szx}
		b.num = uint32(offset / b.size())
		part, more := c.slice(b, body)
		b.more = more
		next := *m
		next.Payload = part
		next.Options = setOption(m.Options, b.option(message.Block1))
		if offset == 0 {
			next.Options = setOption(next.Options, message.Option{ID: message.Size1, Value: coapmsg.EncodeUint(uint32(len(body)))})
		}
		if more {
			// An answer is needed to go on (RFC 7967).
			next.Options = coapmsg.Without(next.Options, coapmsg.NoResponse)
		}
		if resp, err = e.roundTrip(ctx, r, &next); err != nil {
			return nil, err
		}
		e.keepEcho(m, &next, resp)
		ack, ok := getBlock(resp.Options, message.Block1)
		smaller := ok && ack != nil && ack.szx < c.szx
		switch {
		case !more:
			return resp, nil
		case resp.Code == codes.RequestEntityTooLarge && smaller && offset == 0:
			c = blocks(ack.szx)
			continue
		case !coapmsg.IsSuccess(resp.Code) || !ok || ack == nil:
			return resp, nil // refused, or the server knows no blocks
		case ack.num != b.num:
			return nil, fmt.Errorf("%s: %w: block %d acknowledged instead of %d", r.To, ErrBlock, ack.num, b.num)
		}
		offset += len(part)
		if smaller {
			c = blocks(ack.szx)
		}
	}
}

// keepEcho has later messages of an operation carry the latest Echo value.
func (e *Endpoint) keepEcho(m, sent *message.Message, resp *Response) {
	v, ok := coapmsg.Get(resp.Options, coapmsg.Echo)
	if !ok {
		v, ok = coapmsg.Get(sent.Options, coapmsg.Echo)
	}
	if ok {
		m.Options = setOption(m.Options, message.Option{ID: coapmsg.Echo, Value: v})
	}
}

// requestTag is the tag of one body. Tags count up from a random start, so that
// not even a restart uses one again soon.
func (e *Endpoint) requestTag() []byte {
	return binary.BigEndian.AppendUint32(nil, e.tag.Add(1))
}
