package endpoint

import (
	"context"
	"fmt"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// Outer Block options cut a protected message into pieces, between an endpoint
// and a proxy (RFC 8613, Section 4.1.3.4.2). They are below OSCORE: nothing of
// a piece is verified, and the whole is verified once. What is longer than
// Config.MaxUnfragmented is discarded.

// outer is what a request said in Outer Block options.
type outer struct {
	block1, block2 *block
	m              message.Message // the protected request
}

// outerBlocks takes a protected request with Outer Block options. done says
// that it is answered; otherwise m is the whole message.
func (e *Endpoint) outerBlocks(f *inflight, m message.Message, has marks) (whole message.Message, done bool) {
	f.outer = &outer{}
	who := f.d.remote()
	if has.block1 {
		b, _ := getBlock(m.Options, message.Block1)
		if !e.readable(*b, f.d.sock.via()) {
			e.refuseOSCORE(f, DropUnverified, codes.BadRequest, "block size exponent 7")
			return m, true
		}
		szx := e.taken(*b, false)
		reply := message.Message{}
		if m, reply = e.assemble(m, *b, szx, outerReceiving, who, e.cfg.MaxUnfragmented); reply.Code != codes.Empty {
			if f.multicast() {
				e.drop(DropMulticastBlock)
				e.abandon(f)
				return m, true
			}
			how := forget
			if coapmsg.IsSuccess(reply.Code) {
				how = keepPlain
			}
			e.sendResponse(f, reply, how)
			return m, true
		}
		b.more, b.szx = false, szx
		f.outer.block1 = b
	}
	if has.block2 {
		b, _ := getBlock(m.Options, message.Block2)
		if !e.readable(*b, f.d.sock.via()) {
			e.refuseOSCORE(f, DropUnverified, codes.BadRequest, "block size exponent 7")
			return m, true
		}
		f.outer.block2 = b
	}
	f.outer.m = m
	if b := f.outer.block2; b != nil && b.num > 0 {
		if resp, ok := e.transfers.kept(transferKey{outerHanding, who, requestHash(m)}, nil); ok {
			e.sendResponse(f, resp, keepPlain)
			return m, true
		}
	}
	return m, false
}

// cut puts into a protected response the block that the request asked for.
func (e *Endpoint) cut(f *inflight, resp message.Message) message.Message {
	if resp.Code == codes.Continue {
		return resp
	}
	if b := f.outer.block2; b != nil {
		resp = e.blockOf(resp, f.outer.m, b, e.cutFor(f.d.sock, false), outerHanding, f.d.remote())
	}
	if f.outer.block1 != nil {
		resp.Options = setOption(resp.Options, f.outer.block1.option(message.Block1))
	}
	return resp
}

// isOuterBlock says whether a protected response is only a part of one.
func isOuterBlock(m message.Message) bool {
	_, n := coapmsg.FindOSCORE(m.Options)
	return n > 0 && coapmsg.Has(m.Options, message.Block2)
}

// outerRest fetches the other pieces of a protected response, by sending the
// protected request again as it is but for its Outer Block2 option.
func (e *Endpoint) outerRest(ctx context.Context, r *Request, x *exchange, m message.Message) (message.Message, error) {
	raw := *r
	raw.Security, raw.OuterBlockSize = unchanged{}, 0
	wire := x.wire
	wire.Options = withoutOptions(x.wire.Options, message.Block1)
	whole, err := e.outerDownload(ctx, &raw, wire, m)
	if err != nil {
		e.drop(DropBlock)
		return m, err
	}
	return whole, nil
}

func (e *Endpoint) outerDownload(ctx context.Context, r *Request, wire, part message.Message) (message.Message, error) {
	whole := part
	var body []byte
	for {
		b, ok := getBlock(part.Options, message.Block2)
		if !ok || b == nil || !e.readable(*b, r.Via) || !b.fits(len(part.Payload)) || b.offset() != len(body) {
			return whole, fmt.Errorf("%s: %w: outer block", r.To, ErrBlock)
		}
		if body = append(body, part.Payload...); len(body) > e.cfg.MaxUnfragmented {
			return whole, fmt.Errorf("%s: %w: outer blocks of more than %d bytes", r.To, ErrBlock, e.cfg.MaxUnfragmented)
		}
		if !b.more {
			break
		}
		next := wire
		next.Options = setOption(wire.Options, block{num: uint32(len(body) / b.size()), szx: b.szx}.option(message.Block2))
		resp, err := e.doOnce(ctx, r, next)
		if err != nil {
			return whole, err
		}
		part.Options, part.Payload = resp.Options, resp.Payload
	}
	whole.Options = withoutOptions(whole.Options, message.Block2, message.Size2)
	whole.Payload = body
	return whole, nil
}

// doOuter protects m, sends it in Outer blocks of r.OuterBlockSize, and opens
// the response.
func (e *Endpoint) doOuter(ctx context.Context, r *Request, m message.Message) (*Response, error) {
	sec := r.Security
	if u, ok := sec.(unicaster); ok {
		sec = u.unicast(nil)
	}
	wire, opener, err := sec.ProtectRequest(m)
	if err != nil {
		return nil, fmt.Errorf("protect request: %w", err)
	}
	x := &exchange{to: remote{addr: r.To}, opener: opener, wire: wire}
	if c, ok := opener.(interface{ Close() }); ok {
		defer c.Close()
	}
	raw := *r
	raw.Security, raw.OuterBlockSize = unchanged{}, 0
	szx := min(szxFor(r.OuterBlockSize), e.szx)
	for offset := 0; ; {
		b := block{num: uint32(offset / (16 << szx)), szx: szx}
		part := wire
		part.Payload, b.more = blocks(szx).slice(b, wire.Payload)
		if b.more || offset > 0 {
			part.Options = setOption(wire.Options, b.option(message.Block1))
		}
		resp, err := e.doOnce(ctx, &raw, part)
		if err != nil {
			return nil, err
		}
		in := message.Message{Code: resp.Code, Options: resp.Options, Payload: resp.Payload}
		a := arrival{from: r.To, at: resp.Received}
		if b.more && resp.Code == codes.Continue {
			offset += len(part.Payload)
			if ack, ok := getBlock(resp.Options, message.Block1); ok && ack != nil {
				szx = min(szx, ack.szx)
			}
			continue
		}
		if isOuterBlock(in) {
			if in, err = e.outerRest(ctx, r, x, in); err != nil {
				return nil, err
			}
		}
		in.Options = coapmsg.Without(in.Options, message.Block1)
		out, err := e.openMessage(x, in, a)
		if out == nil && err == nil {
			err = fmt.Errorf("%s: %w", r.To, ErrNoResponse)
		}
		if out != nil {
			out.Peer.Via, out.Peer.Identity = resp.Peer.Via, resp.Peer.Identity
		}
		return out, err
	}
}

// unchanged is the Protector of messages that are protected already: what goes
// over it is not looked at.
type unchanged struct{}

func (unchanged) ProtectRequest(m message.Message) (message.Message, ResponseOpener, error) {
	return m, unchanged{}, nil
}

func (unchanged) OpenResponse(m message.Message, _ time.Time) (message.Message, Peer, error) {
	return m, Peer{}, nil
}
