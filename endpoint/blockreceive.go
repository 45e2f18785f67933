package endpoint

import (
	"bytes"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// receive takes a block of a request's body (RFC 7959, Sections 2.3 and 2.5).
// With the last one it returns the whole body and code 0. Otherwise the code is
// the answer to this block: 2.31 if it was taken, 4.00 for a block that is
// impossible, 4.08 if those before it are not here, 4.13 if the body is longer
// than limit, or than there is room for.
func (t *transfers) receive(k transferKey, m message.Message, b block, limit int) (body []byte, code codes.Code) {
	if !b.fits(len(m.Payload)) {
		return nil, codes.BadRequest
	}
	if b.offset()+len(m.Payload) > limit || announced(m.Options, message.Size1) > uint32(limit) {
		return nil, codes.RequestEntityTooLarge
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.clock.Now()
	if b.num == 0 {
		if !b.more {
			t.remove(k)
			return m.Payload, 0
		}
		if !t.put(&transfer{key: k, body: bytes.Clone(m.Payload)}, now) {
			return nil, codes.RequestEntityTooLarge
		}
		return nil, codes.Continue
	}
	x := t.get(k, now)
	switch {
	case x == nil:
		return nil, codes.RequestEntityIncomplete
	case b.more && x.repeats(b, m.Payload):
		return nil, codes.Continue
	case b.offset() != len(x.body):
		return nil, codes.RequestEntityIncomplete
	}
	x.body = append(x.body, m.Payload...)
	if !b.more {
		t.remove(k)
		return x.body, 0
	}
	if !t.grow(x) {
		return nil, codes.RequestEntityTooLarge
	}
	return nil, codes.Continue
}

// repeats says whether a block was taken before.
func (x *transfer) repeats(b block, payload []byte) bool {
	end := b.offset() + len(payload)
	return end <= len(x.body) && bytes.Equal(x.body[b.offset():end], payload)
}

// announced is the value of a Size option, 0 if there is none.
func announced(opts message.Options, id message.OptionID) uint32 {
	v, _ := coapmsg.Get(opts, id)
	n, err := coapmsg.DecodeUint(v)
	if err != nil {
		return 0
	}
	return n
}

// assemble takes a request with a Block1 option. Either the whole request is
// there, and is returned without block; or reply is the answer to this block,
// which tells the client to go on with blocks of exponent szx.
func (e *Endpoint) assemble(m message.Message, b block, szx uint8, dir direction, who any, limit int) (whole, reply message.Message) {
	ack := b
	ack.szx = szx
	opts := message.Options{ack.option(message.Block1)}
	body, code := e.transfers.receive(transferKey{dir, who, requestHash(m)}, m, b, limit)
	switch code {
	case 0:
		m.Options = withoutOptions(m.Options, message.Block1, message.Size1)
		m.Payload = body
		return m, message.Message{}
	case codes.RequestEntityTooLarge:
		// Size1 says what would be possible (RFC 7959, Section 4).
		opts = append(opts, message.Option{ID: message.Size1, Value: coapmsg.EncodeUint(uint32(limit))})
	}
	return m, message.Message{Code: code, Options: opts}
}
