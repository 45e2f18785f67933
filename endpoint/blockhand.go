package endpoint

import (
	"crypto/sha256"
	"hash/maphash"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// etag marks a representation that is handed out block by block: a hash of it
// under a key of this process, so that two servers hardly ever have the same
// (draft-ietf-core-groupcomm-bis, Section 3.2.2.1).
func (e *Endpoint) etag(resp *message.Message) []byte {
	var h maphash.Hash
	h.SetSeed(e.dedup.seed)
	for _, o := range resp.Options {
		if o.ID == message.ContentFormat {
			h.Write(o.Value)
		}
	}
	h.WriteByte(0xff)
	h.Write(resp.Payload)
	return h.Sum(nil)
}

// blockOf cuts the asked block out of a response (RFC 7959, Section 2.4), and
// remembers the body if more follows, for a peer and the request m. asked is
// nil if the request names none; the largest size that may be used is that of c.
func (e *Endpoint) blockOf(resp message.Message, m message.Message, asked *block, c cutting, dir direction, who any) message.Message {
	b := block{szx: c.szx}
	if asked != nil {
		b = block{num: asked.num, szx: asked.szx}
		if b.szx == bertSZX && c.bert == 0 {
			b.szx = maxSZX // its blocks are counted alike
		}
		if b.szx > c.szx && b.num == 0 {
			b.szx = c.szx
		}
	}
	if asked == nil && len(resp.Payload) <= c.whole {
		return resp
	}
	whole := resp.Payload
	if b.num > 0 && b.offset() >= len(whole) {
		return message.Message{Code: codes.BadRequest, Payload: []byte("no such block")}
	}
	opts := withoutOptions(resp.Options, message.Block2, message.Size2)
	if len(whole) > c.payload(b) || b.num > 0 {
		if resp.Code == codes.Content && !coapmsg.Has(opts, message.ETag) {
			opts = coapmsg.Insert(opts, message.Option{ID: message.ETag, Value: e.etag(&resp)})
		}
		e.transfers.keep(transferKey{dir, who, requestHash(m)}, resp.Code, withoutOptions(opts, message.Observe), whole, m.Payload)
		if b.num == 0 {
			opts = coapmsg.Insert(opts, message.Option{ID: message.Size2, Value: coapmsg.EncodeUint(uint32(len(whole)))})
		}
	}
	resp.Payload, b.more = c.slice(b, whole)
	resp.Options = coapmsg.Insert(opts, b.option(message.Block2))
	return resp
}

// keep remembers a body that is handed out. If there is no room the handler
// runs again for each block, or the transfer fails.
func (t *transfers) keep(k transferKey, code codes.Code, opts message.Options, body, request []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.clock.Now()
	if x := t.get(k, now); x != nil && x.code == code && len(x.body) == len(body) && len(body) > 0 && &x.body[0] == &body[0] {
		return
	}
	t.put(&transfer{key: k, body: body, code: code, opts: opts[:len(opts):len(opts)], payload: sha256.Sum256(request)}, now)
}

// kept returns the response whose later block is asked for; false if it is not
// here, or if it answered a request with another payload. A request for a later
// block need not repeat the payload.
func (t *transfers) kept(k transferKey, payload []byte) (message.Message, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	x := t.get(k, t.clock.Now())
	if x == nil || len(payload) > 0 && x.payload != sha256.Sum256(payload) {
		return message.Message{}, false
	}
	return message.Message{Code: x.code, Options: x.opts, Payload: x.body}, true
}

// isSafe says whether a method may be run once more for each block it is asked
// for: the safe ones (RFC 7252, Section 5.1; RFC 8132, Section 2).
func isSafe(c codes.Code) bool { return c == codes.GET || c == coapmsg.FETCH }
