package endpoint

import (
	"context"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// cutting says how bodies that go to one receiver are cut into blocks.
type cutting struct {
	szx   uint8 // of blocks whose size the receiver does not name
	whole int   // longest body, in bytes, that is not cut unless a block is asked for
	bert  int   // longest payload of a BERT block, a multiple of 1024 bytes; 0: none are sent
}

// blocks is a cutting in blocks of one size, without BERT.
func blocks(szx uint8) cutting { return cutting{szx: szx, whole: 16 << szx} }

// cutFor is how bodies are cut for the remote of a socket. In a TCP connection a
// body is whole if the remote takes it, and comes else in BERT blocks as long as
// the remote takes, if its CSM says that it knows them (RFC 8323, Section 6).
// inner bodies, under OSCORE, do not: a CSM speaks for one connection, Inner
// Block options for both ends, between which proxies may change the transport.
func (e *Endpoint) cutFor(s *socket, inner bool) cutting {
	n := s.maxPayload()
	if n == 0 {
		return blocks(e.szx)
	}
	c := cutting{szx: min(e.szx, szxFor(n)), whole: n}
	if !inner && c.szx == maxSZX && s.conn.stream.takesBERT() {
		c.szx, c.bert = bertSZX, n/1024*1024
	}
	return c
}

// payload is the longest payload of a block, in bytes.
func (c cutting) payload(b block) int {
	if b.szx == bertSZX {
		return max(c.bert, b.size())
	}
	return b.size()
}

// slice returns the block of body that begins at an offset, and whether more
// follows. The offset is within the body.
func (c cutting) slice(b block, body []byte) (part []byte, more bool) {
	from := b.offset()
	to := from + c.payload(b)
	if to >= len(body) {
		return body[from:], false
	}
	return body[from:to:to], true
}

// cutFor is how the body of a request is cut.
func (r *Request) cutFor(ctx context.Context, e *Endpoint) cutting {
	if r.Via != ViaTCP {
		return blocks(e.szx)
	}
	s, err := e.conns.get(ctx, r.Via, r.To)
	if err != nil {
		return blocks(e.szx) // the request itself will say why
	}
	return e.cutFor(s, r.Security != nil)
}

// readable says whether a block may come this way: BERT blocks in TCP connections
// only, and not unless the CSM of this endpoint lets the remote send them.
func (e *Endpoint) readable(b block, v Via) bool {
	return b.szx != bertSZX || v == ViaTCP && e.cfg.TCP.takesBERT()
}

// noSuchSize answers a block that is not readable.
func noSuchSize() message.Message {
	return message.Message{Code: codes.BadRequest, Payload: []byte("block size exponent 7")}
}

// taken is the block size that a client is told to go on with.
func (e *Endpoint) taken(b block, inner bool) uint8 {
	if b.szx == bertSZX && !inner && e.szx == maxSZX {
		return bertSZX
	}
	return min(b.szx, e.szx)
}
