package endpoint

import (
	"errors"
	"sync"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// inflight is a request in work, from the moment a worker takes it until its
// answer is sent or it is dropped.
type inflight struct {
	d     datagram
	key   uint64 // of the dedup table
	mid   uint16
	con   bool
	token message.Token
	outer *outer // nil if the request has no Outer Block options

	toGroups bool    // errors are sent although the request came to a group
	wait     waiting // of the ACK queue

	// Of the intake.
	in         *intake
	lane       *lane // nil before and after
	prev, next *inflight
	opened     bool // it holds up its lane no longer
	crowded    bool // refused for it was one of many
	small      [smallDatagram]byte

	mu       sync.Mutex
	acked    bool // an empty ACK went out: the answer comes separately
	answered bool
}

// multicast says whether the request came to a group.
func (f *inflight) multicast() bool { return f.d.sock.group }

// stream says whether the request came by a TCP connection.
func (f *inflight) stream() bool { return f.d.sock != nil && f.d.sock.stream() }

// reliable says whether the peer waits for an answer to whatever it asked.
func (f *inflight) reliable() bool { return f.con || f.stream() }

// acknowledge notes that an empty ACK is to be sent; false if the answer was
// quicker.
func (f *inflight) acknowledge() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.answered {
		return false
	}
	f.acked = true
	return true
}

// finish notes that the answer is there; separate says that it must not go
// into the ACK any more.
func (f *inflight) finish() (separate bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answered = true
	return f.acked
}

func (f *inflight) isAcked() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.acked
}

// work is the loop of one worker.
func (e *Endpoint) work() {
	for {
		select {
		case <-e.secure.wake:
			e.serveNext(e.secure)
		case <-e.plain.wake:
			e.serveNext(e.plain)
		case again := <-e.parked.resume:
			again()
		case <-e.observers.wake:
			if ob := e.observers.next(); ob != nil {
				e.observers.run(ob)
			}
		case <-e.ctx.Done():
			return
		}
	}
}

// serveNext serves the next request that waits, if there is one.
func (e *Endpoint) serveNext(in *intake) bool {
	f := in.take()
	if f == nil {
		return false
	}
	e.serve(f)
	in.done(f)
	e.leave(&f.d)
	return true
}

// opened says that the replay window has seen a request, or need not: the next
// one of its remote may be verified.
func (e *Endpoint) opened(f *inflight) {
	if f.in != nil {
		f.in.opened(f)
	}
}

// serve takes one request datagram through the layers.
func (e *Endpoint) serve(f *inflight) {
	d := f.d
	if d.sock.stream() {
		e.serveStream(f)
		return
	}
	m, err := coapmsg.ParseDatagram(d.data)
	if err != nil {
		e.drop(DropMalformed)
		if h, known, _ := parseHeader(d.data); known && h.typ == message.Confirmable && !d.sock.group {
			e.sendEmpty(d, message.Reset, h.mid)
		}
		return
	}
	f.mid, f.con, f.token = uint16(m.MessageID), m.Type == message.Confirmable, m.Token
	f.key = e.dedup.key(&d)
	now := e.cfg.Clock.Now()
	other, answer, again, served := e.dedup.begin(f, now)
	if other != nil || served {
		e.duplicate(f, other, answer)
		return
	}
	if f.con {
		e.acks.add(f, now)
	}
	if again != nil { // the first copy verified
		e.opened(f)
		e.serveOpened(f, again)
		return
	}
	e.process(f, m)
}

// duplicate answers a copy of a request: with the stored answer, or with the
// empty ACK that the first copy got, or not at all.
func (e *Endpoint) duplicate(f, other *inflight, answer []byte) {
	e.drop(DropDuplicate)
	switch {
	case answer != nil:
		e.send(e.answerSocket(f.d), answer, f.d.from, e.answerAddr(f.d))
	case other != nil && other.con && other.isAcked():
		e.sendEmpty(f.d, message.Acknowledgement, f.mid)
	}
}

// process verifies a request and has it served. It ends with e.abandon,
// e.refuse or e.answer, unless the request is parked.
func (e *Endpoint) process(f *inflight, m message.Message) {
	value, n := coapmsg.FindOSCORE(m.Options)
	if unsupported(m.Options) {
		e.refuse(f, DropCriticalOption, codes.BadOption, "")
		return
	}
	if hops, ok := coapmsg.Get(m.Options, coapmsg.HopLimit); ok && (len(hops) != 1 || hops[0] == 0) {
		e.refuse(f, DropMalformed, codes.BadRequest, "Hop-Limit") // RFC 8768, Section 3
		return
	}
	if n == 0 {
		e.servePlain(f, m)
		return
	}
	if coapmsg.Has(m.Options, message.ProxyURI) || coapmsg.Has(m.Options, message.ProxyScheme) {
		e.refuse(f, DropNoContext, codes.ProxyingNotSupported, "")
		return
	}
	if has := survey(m.Options); has.block1 || has.block2 {
		var done bool
		if m, done = e.outerBlocks(f, m, has); done {
			return
		}
	}
	opt, err := coapmsg.ParseOSCOREOption(value)
	if err != nil || len(m.Payload) == 0 {
		e.refuseOSCORE(f, DropUnverified, codes.BadOption, "Failed to decode COSE")
		return
	}
	o, err := e.openRequest(f, m, opt)
	e.opened(f)
	if err != nil {
		e.unopened(f, m, err)
		return
	}
	if o.Reply.Code != codes.Empty {
		e.sendResponse(f, o.Reply, keepPlain)
		return
	}
	f.d.fill(&o.Peer)
	e.serveOpened(f, o)
}

func (e *Endpoint) openRequest(f *inflight, m message.Message, opt coapmsg.OSCOREOption) (*Opened, error) {
	for _, op := range e.cfg.Openers {
		o, err := op.OpenRequest(m, opt, f.d.from, f.multicast())
		if !errors.Is(err, ErrNoContext) {
			return o, err
		}
	}
	return nil, ErrNoContext
}

// unopened decides what becomes of a request that no opener opened. To the
// network all is silence or one of the few errors of RFC 8613, Section 8.2.
func (e *Endpoint) unopened(f *inflight, m message.Message, err error) {
	e.cfg.Log.Debug("request not opened", "from", f.d.from, "multicast", f.multicast(), "error", err)
	var missing *MissingCredential
	var refusal *Refusal
	switch {
	case errors.As(err, &missing):
		if !e.parked.request(f, m, missing) {
			e.drop(DropNoCredential)
			e.abandon(f)
		}
	case errors.Is(err, ErrOverBudget):
		e.drop(DropBudget)
		e.abandon(f)
	case errors.Is(err, ErrNoContext):
		e.refuseOSCORE(f, DropNoContext, codes.Unauthorized, "Security context not found")
	case errors.As(err, &refusal):
		e.refuseOSCORE(f, DropUnverified, refusal.Code, refusal.Diagnostic)
	default:
		e.drop(DropUnverified)
		e.abandon(f)
	}
}

// servePlain serves a request without an OSCORE option.
func (e *Endpoint) servePlain(f *inflight, m message.Message) {
	e.opened(f)
	switch {
	case f.multicast() && !e.cfg.InsecurePlainMulticast:
		e.drop(DropPlain)
		e.abandon(f)
	case coapmsg.Has(m.Options, message.ProxyURI) || coapmsg.Has(m.Options, message.ProxyScheme):
		e.refuse(f, DropPlain, codes.ProxyingNotSupported, "")
	default:
		m.Options = coapmsg.IgnoreElective(m.Options)
		peer := Peer{Mode: Plain}
		f.d.fill(&peer)
		e.serveAsk(&ask{f: f, m: m, peer: peer})
	}
}

// serveOpened serves a request that verified.
func (e *Endpoint) serveOpened(f *inflight, o *Opened) {
	m := o.Message
	if o.Fresh == nil && !e.first(f, o) {
		return
	}
	if unsupported(m.Options) {
		if !f.reliable() {
			e.drop(DropCriticalOption) // RFC 7252, Section 5.4.1
			e.abandonVerified(f)
			return
		}
		e.answer(f, m, o, message.Message{Code: codes.BadOption}, true, keep)
		return
	}
	if o.Fresh != nil {
		if proceed := e.checkFresh(f, o); !proceed {
			return
		}
		o.Fresh = nil
		if !e.first(f, o) {
			return
		}
	}
	m.Options = coapmsg.IgnoreElective(m.Options)
	e.serveAsk(&ask{f: f, m: m, o: o, peer: o.Peer})
}

// first does what comes before the first request of a context is served. If that
// fails, a copy of the request is served in its place when one comes. None comes
// any more if it was acknowledged: then it is answered with 5.03.
func (e *Endpoint) first(f *inflight, o *Opened) bool {
	if o.First == nil {
		return true
	}
	err := o.First()
	if err == nil {
		o.First = nil
		return true
	}
	e.drop(DropNotReady)
	e.cfg.Log.Warn("request not served yet", "from", f.d.from, "error", err)
	e.acks.remove(f)
	if acked := f.finish(); acked || f.stream() {
		e.answer(f, o.Message, o, message.Message{Code: codes.ServiceUnavailable}, true, keep)
	} else {
		e.dedup.suspend(f, o)
	}
	return false
}

// unsupported reports critical options that make a message be refused: unknown
// ones, among them those of other block-wise transfers (RFC 9177).
func unsupported(opts message.Options) bool {
	if _, bad := coapmsg.UnknownCritical(opts); bad {
		return true
	}
	for _, o := range opts {
		switch o.ID {
		case coapmsg.QBlock1, coapmsg.QBlock2, coapmsg.EDHOC:
			return true
		}
	}
	return false
}
