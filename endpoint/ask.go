package endpoint

import (
	"bytes"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// ask is a request above the layer of security, with all it takes to answer
// it.
type ask struct {
	f    *inflight
	m    message.Message
	o    *Opened // nil for a plain request
	peer Peer
	from any // see who

	block1, block2 block // if they are there
	has            marks
	observer       *observer // being registered
}

// marks are the options that need more than a handler.
type marks struct{ block1, block2, observe, echo, etag bool }

func survey(opts message.Options) (m marks) {
	for _, o := range opts {
		switch o.ID {
		case message.Block1:
			m.block1 = true
		case message.Block2:
			m.block2 = true
		case message.Observe:
			m.observe = true
		case coapmsg.Echo:
			m.echo = true
		case message.ETag:
			m.etag = true
		}
	}
	return m
}

// identity is who a protected request is from, for what is kept between the
// requests of one peer. A member of a group is known by its credential, which
// outlives Sender IDs and Gids.
type identity struct {
	context      any // Opened.Context
	group        bool
	id, gid, key string
}

func (o *Opened) identity(p *Peer) any {
	if p.Credential != nil {
		return identity{context: o.Context, group: true, key: string(p.Credential.Bytes())}
	}
	return identity{context: o.Context, id: string(p.SenderID), gid: string(p.Gid)}
}

// who tells the peer of a request from all others: the identity of a verified
// one, the remote of a stranger.
func (a *ask) who() any {
	if a.from == nil {
		if a.o == nil {
			a.from = a.f.d.remote()
		} else {
			a.from = a.o.identity(&a.peer)
		}
	}
	return a.from
}

// serveAsk takes a request through block-wise transfer and Observe to its
// handler, and the response back.
func (e *Endpoint) serveAsk(a *ask) {
	a.has = survey(a.m.Options)
	if a.has.echo {
		v, _ := coapmsg.Get(a.m.Options, coapmsg.Echo)
		e.validate(a, v)
	}
	if a.f.multicast() && e.cfg.ChallengeGroups && e.limited(a) && !e.addresses.reached(a.who(), a.f.d.from, e.cfg.Clock.Now()) {
		e.challenge(a)
		return
	}
	if a.has.block1 || a.has.block2 {
		if done := e.serveBlocks(a); done {
			return
		}
	}
	if a.has.observe {
		e.serveObserve(a)
	}
	m := a.m
	m.Options = handlerOptions(a.has, m.Options)
	var resp message.Message
	var ok bool
	resp, ok, a.f.toGroups = e.handle(m, a.peer, false)
	e.reply(a, resp, ok)
}

// serveBlocks does what Block options ask for before the handler runs; done if
// it need not run.
func (e *Endpoint) serveBlocks(a *ask) (done bool) {
	if a.has.block1 {
		if a.f.multicast() {
			// There is no block-wise request to a group
			// (draft-ietf-core-groupcomm-bis, Section 3.8).
			e.drop(DropMulticastBlock)
			e.abandonAs(a.f, a.o)
			return true
		}
		b, _ := getBlock(a.m.Options, message.Block1)
		if a.block1 = *b; !e.readable(*b, a.f.d.sock.via()) {
			e.reply(a, noSuchSize(), true)
			return true
		}
		szx := e.taken(a.block1, a.o != nil)
		whole, reply := e.assemble(a.m, a.block1, szx, receiving, a.who(), e.cfg.MaxBody)
		if reply.Code != codes.Empty {
			e.answer(a.f, a.m, a.o, reply, true, e.keeping(a, reply, true))
			return true
		}
		a.m = whole
		a.block1.more, a.block1.szx = false, szx
	}
	if a.has.block2 {
		b, _ := getBlock(a.m.Options, message.Block2)
		if a.block2 = *b; !e.readable(*b, a.f.d.sock.via()) {
			e.reply(a, noSuchSize(), true)
			return true
		}
		key := transferKey{handingOut, a.who(), requestHash(a.m)}
		if a.block2.num > 0 {
			a.has.observe = false // later blocks register nothing (RFC 7959, Section 2.6)
			if resp, ok := e.transfers.kept(key, a.m.Payload); ok {
				e.reply(a, resp, true)
				return true
			}
			if !isSafe(a.m.Code) {
				e.reply(a, message.Message{Code: codes.RequestEntityIncomplete}, true)
				return true
			}
		}
	}
	return false
}

// handlerOptions are the options a handler sees: the whole body is there, so
// the Block options are not.
func handlerOptions(m marks, opts message.Options) message.Options {
	if !m.block2 {
		return opts
	}
	return withoutOptions(opts, message.Block2)
}

// reply sends what the handler answered.
func (e *Endpoint) reply(a *ask, resp message.Message, present bool) {
	if !present {
		e.observers.discard(a.observer, true)
		e.answer(a.f, a.m, a.o, resp, false, e.keeping(a, resp, false))
		return
	}
	if a.has.etag {
		resp = revalidated(a.m, resp)
	}
	observed := coapmsg.Has(resp.Options, message.Observe)
	registers := observed && a.observer != nil && coapmsg.IsSuccess(resp.Code)
	if observed {
		resp.Options = withoutOptions(resp.Options, message.Observe)
	}
	if registers {
		resp.Options = coapmsg.Insert(resp.Options, e.observers.option())
	}
	c := e.cutFor(a.f.d.sock, a.o != nil)
	if e.amplifies(a, resp, c.szx) {
		if isSafe(a.m.Code) {
			e.observers.discard(a.observer, false)
			e.challenge(a)
			return
		}
		// The effect is there already: the answer comes in blocks small
		// enough (draft-ietf-core-groupcomm-bis, Section 6.3).
		szx, ok := e.fitting(a, resp)
		if !ok {
			resp.Options, resp.Payload = nil, nil
		}
		c = blocks(szx)
	}
	var asked *block
	if a.has.block2 && coapmsg.IsSuccess(resp.Code) {
		asked = &a.block2
	}
	if asked != nil || len(resp.Payload) > c.whole {
		resp = e.blockOf(resp, a.m, asked, c, handingOut, a.who())
	}
	if a.has.block1 {
		resp.Options = setOption(resp.Options, a.block1.option(message.Block1))
	}
	if registers {
		a.observer.sameFormat(resp) // from now on
		e.observers.place(a.observer)
	} else {
		e.observers.discard(a.observer, true)
	}
	e.answer(a.f, a.m, a.o, resp, true, e.keeping(a, resp, true))
	if registers {
		e.observers.activate(a.observer)
	}
}

// keeping says how a request is remembered for its copies.
func (e *Endpoint) keeping(a *ask, resp message.Message, present bool) kept {
	switch {
	case a.o != nil:
		return keep
	case !present || coapmsg.IsSuccess(resp.Code):
		return keepPlain
	}
	return forget
}

// revalidated turns a response whose ETag the request names into 2.03
// (RFC 7252, Sections 5.9.1.3 and 5.10.6.2), as well for a request to a group
// (draft-ietf-core-groupcomm-bis, Section 3.2.2.1).
func revalidated(req, resp message.Message) message.Message {
	tag, ok := coapmsg.Get(resp.Options, message.ETag)
	if !ok || resp.Code != codes.Content || !isSafe(req.Code) {
		return resp
	}
	for _, o := range req.Options {
		if o.ID == message.ETag && bytes.Equal(o.Value, tag) {
			resp.Code, resp.Payload = codes.Valid, nil
			resp.Options = withoutOptions(resp.Options, message.ContentFormat, message.Size2)
			return resp
		}
	}
	return resp
}
