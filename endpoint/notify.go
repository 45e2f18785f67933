package endpoint

import (
	"errors"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/grouposcore"
	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/oscore"
)

// Notification is what observers are told.
type Notification struct {
	Code    codes.Code
	Options message.Options
	Payload []byte
	// Confirmable asks for an acknowledgement of this one. Without it the
	// endpoint decides: see Config.ConfirmEvery.
	Confirmable bool
	// Final ends the observation although the code is a success. Other codes
	// end it anyway.
	Final bool
}

// Notify says that the resource at a path has changed: its handler runs again
// for each observer, on the workers of the endpoint, and what it answers is
// sent. It returns at once, with the number of observers. The path is that of
// the requests, such as "/sensors/1".
//
// Each client has at most Config.NSTART notifications outstanding, and an
// observer at most one; changes in quick succession make one notification, of
// the newest state.
func (e *Endpoint) Notify(path string) int { return e.observers.notify(path, nil) }

// NotifyFunc is Notify with notifications that f gives, for each observer, in
// place of the handler; none if it returns false. f is called later, by
// workers.
func (e *Endpoint) NotifyFunc(path string, f func(Peer) (Notification, bool)) int {
	return e.observers.notify(path, f)
}

func (n *observers) notify(path string, give func(Peer) (Notification, bool)) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	for ob := range n.paths[path] {
		ob.dirty, ob.give = true, give
		n.schedule(ob)
	}
	return len(n.paths[path])
}

// schedule sets out to notify an observer, if there is something to say and it
// is idle. n.mu is held.
func (n *observers) schedule(ob *observer) {
	if !ob.active || ob.busy || !ob.dirty || ob.gone || n.stopped {
		return
	}
	ob.busy = true
	if ob.group.IsValid() && !ob.sock.reliable {
		n.leisurely(ob)
		return
	}
	n.turn(ob)
}

// turn waits until the peer has less than NSTART notifications outstanding
// (RFC 7641, Section 4.5.1). n.mu is held.
func (n *observers) turn(ob *observer) {
	p := n.peers[ob.key.addr]
	if p.outstanding >= n.e.cfg.NSTART {
		p.waiting = append(p.waiting, ob)
		return
	}
	p.outstanding++
	n.push(ob)
}

// push gives an observer to the workers. n.mu is held.
func (n *observers) push(ob *observer) {
	n.ready = append(n.ready, ob)
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// next takes an observer for a worker; nil if there is none.
func (n *observers) next() *observer {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.ready) == 0 {
		return nil
	}
	ob := n.ready[0]
	n.ready = n.ready[1:]
	if len(n.ready) > 0 {
		select {
		case n.wake <- struct{}{}:
		default:
		}
	}
	return ob
}

// release ends the turn of an observer and gives it to another. n.mu is held.
func (n *observers) release(ob *observer) {
	ob.busy, ob.con, ob.retries, ob.timeout = false, false, 0, 0
	p := n.peers[ob.key.addr]
	p.outstanding--
	for len(p.waiting) > 0 && p.outstanding < n.e.cfg.NSTART {
		next := p.waiting[0]
		p.waiting = p.waiting[1:]
		if next.gone {
			next.busy = false
			continue
		}
		p.outstanding++
		n.push(next)
	}
	n.forgetPeer(ob.key.addr, p)
}

// settle ends the turn of an observer, and begins another if something changed
// meanwhile.
func (n *observers) settle(ob *observer) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.release(ob)
	n.schedule(ob)
}

// run makes and sends the notification of one observer, on a worker.
func (n *observers) run(ob *observer) {
	n.mu.Lock()
	give := ob.give
	skip := ob.gone || n.stopped
	ob.dirty, ob.give = false, nil
	n.mu.Unlock()
	if skip {
		n.settle(ob)
		return
	}
	var note Notification
	var present bool
	if give != nil {
		note, present = give(ob.peer)
	} else {
		note, present = n.again(ob)
	}
	if !present {
		n.settle(ob)
		return
	}
	n.send(ob, note)
}

// again runs the handler for the request of an observer.
func (n *observers) again(ob *observer) (note Notification, present bool) {
	req := ob.req
	req.Options = handlerOptions(survey(req.Options), req.Options)
	resp, present, _ := n.e.handle(req, ob.peer, true)
	resp = revalidated(ob.req, resp)
	return Notification{
		Code: resp.Code, Options: resp.Options, Payload: resp.Payload,
		Final: !coapmsg.Has(resp.Options, message.Observe),
	}, present
}

// send protects a notification, once, and sends it.
func (n *observers) send(ob *observer, note Notification) {
	e := n.e
	resp := message.Message{Code: note.Code, Options: withoutOptions(note.Options, message.Observe), Payload: note.Payload}
	if !ob.sameFormat(resp) {
		resp = message.Message{Code: codes.NotAcceptable}
	}
	final := note.Final || !coapmsg.IsSuccess(resp.Code)
	if !final {
		resp.Options = coapmsg.Insert(resp.Options, n.option())
	}
	var asked *block
	if b, ok := getBlock(ob.req.Options, message.Block2); ok {
		asked = b
	}
	resp = e.blockOf(resp, ob.req, asked, n.cutting(ob, resp), handingOut, ob.key.who)
	if ob.o != nil {
		var err error
		if resp, err = ob.o.Protect(resp, ProtectOptions{PIV: true}); err != nil {
			n.unprotected(ob, note, err)
			return
		}
	}
	now := e.cfg.Clock.Now()
	n.mu.Lock()
	confirmable := note.Confirmable || final || n.mustConfirm(ob, now)
	ob.unsure++
	if ob.watch { // the one before was not confirmable
		e.transmit.cancel(ob.key2)
		ob.watch = false
	}
	if final {
		n.remove(ob)
	}
	n.mu.Unlock()
	if ob.sock.stream() {
		resp.Token = []byte(ob.key.token)
		e.sendStreamNotification(ob.sock, resp)
		n.settle(ob)
		return
	}
	key := transmissionKey{ob.key.addr, e.transmit.messageID(ob.key.addr)}
	resp.Token, resp.MessageID, resp.Type = []byte(ob.key.token), int32(key.mid), message.NonConfirmable
	if confirmable {
		resp.Type = message.Confirmable
	}
	data, err := coapmsg.AppendDatagram(nil, resp)
	if err != nil {
		e.drop(DropProtect)
		e.cfg.Log.Error("notification cannot be encoded", "error", err)
		n.settle(ob)
		return
	}
	n.transmit(ob, key, data, confirmable, now)
}

// cutting is how the body of a notification is cut: what is sent to an
// address that is not validated keeps to the allowance of the registration until
// a notification was acknowledged from there.
func (n *observers) cutting(ob *observer, resp message.Message) cutting {
	e := n.e
	c := e.cutFor(ob.sock, ob.o != nil)
	n.mu.Lock()
	free := ob.room == 0 || ob.proven
	n.mu.Unlock()
	if free || e.addresses.reached(ob.key.who, ob.key.addr.addr, e.cfg.Clock.Now()) {
		return c
	}
	room := ob.room - e.responseSize(len(ob.key.token), ob.o, &ob.peer, resp)
	if len(resp.Payload) <= min(room, c.whole) {
		return c
	}
	return blocks(min(c.szx, szxFor(room-blockOptionsSize)))
}

// mustConfirm decides whether a notification asks for an acknowledgement: the
// first after a registration, every Config.ConfirmEvery-th, and the first after
// a day without (RFC 7641, Section 4.5; draft-ietf-core-groupcomm-bis,
// Sections 3.7 and 6.3). n.mu is held.
func (n *observers) mustConfirm(ob *observer, now time.Time) bool {
	return !ob.proven || ob.unsure+1 >= n.e.cfg.ConfirmEvery || now.Sub(ob.last) >= confirmAfter
}

// transmit sends the datagram of a notification and watches for its end.
func (n *observers) transmit(ob *observer, key transmissionKey, data []byte, confirmable bool, now time.Time) {
	e := n.e
	x := &transmission{key: key, data: data, sock: ob.sock, from: ob.from, bounded: true}
	n.mu.Lock()
	ob.key2, ob.watch, ob.con = key, true, confirmable
	x.retries, x.timeout = ob.retries, ob.timeout
	wait := notifyInterval
	if rtt := n.peers[ob.key.addr].rtt; rtt > 0 {
		wait = rtt
	}
	n.mu.Unlock()
	x.done = func(o outcome) { n.ended(ob, x, o, now) }
	if confirmable {
		x.renew = func(retries int, timeout time.Duration) bool { return n.renew(ob, key, retries, timeout) }
	}
	e.transmit.start(x, confirmable)
	if confirmable {
		return
	}
	// A NON counts as outstanding for one round trip (RFC 7641,
	// Section 4.5.1).
	if ob.sock.reliable {
		n.settle(ob)
		return
	}
	e.cfg.Clock.AfterFunc(wait, func() { n.settle(ob) })
}

// ended takes the acknowledgement or the Reset of a notification, or that
// neither came: the last two end the observation (RFC 7641, Sections 3.6 and
// 4.5). sent is when it was sent first.
func (n *observers) ended(ob *observer, x *transmission, o outcome, sent time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !ob.watch || ob.key2 != x.key {
		return
	}
	ob.watch = false
	confirmable := ob.con
	now := n.e.cfg.Clock.Now()
	switch o {
	case acknowledged:
		if !confirmable {
			break
		}
		ob.last, ob.unsure, ob.proven = now, 0, true
		if x.retries == 0 {
			p := n.peers[ob.key.addr]
			p.rtt = smooth(p.rtt, now.Sub(sent))
		}
	case rejected, exhausted:
		n.remove(ob)
		if o == exhausted {
			n.e.drop(DropUnacknowledged)
		}
	}
	if confirmable {
		n.release(ob)
		n.schedule(ob)
	}
}

// smooth averages round-trip times, never to nothing.
func smooth(rtt, sample time.Duration) time.Duration {
	if rtt > 0 {
		sample = (7*rtt + sample) / 8
	}
	return max(sample, time.Millisecond)
}

// renew is asked before a confirmable notification is sent again. If the state
// has changed, the newest takes its place, with the counter and the timeout of
// the old one (RFC 7641, Section 4.5.2).
func (n *observers) renew(ob *observer, key transmissionKey, retries int, timeout time.Duration) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !ob.dirty || ob.gone || !ob.watch || ob.key2 != key {
		return false
	}
	ob.watch = false
	ob.retries, ob.timeout = retries, timeout
	n.push(ob)
	return true
}

// unprotected decides what becomes of an observer whose notification could not
// be protected: it waits if that may be possible later, and is forgotten if the
// security context can send no more.
func (n *observers) unprotected(ob *observer, note Notification, err error) {
	n.e.drop(DropProtect)
	n.e.cfg.Log.Warn("notification not protected", "to", ob.key.addr.addr, "error", err)
	n.mu.Lock()
	defer n.mu.Unlock()
	if !errors.Is(err, oscore.ErrSequenceNotReserved) && !errors.Is(err, grouposcore.ErrSuspended) {
		n.remove(ob)
		n.release(ob)
		return
	}
	if !ob.dirty {
		ob.dirty, ob.give = true, func(Peer) (Notification, bool) { return note, true }
	}
	n.e.cfg.Clock.AfterFunc(notifyInterval, func() { n.settle(ob) })
}

// leisurePeriod is the time over which notifications of one group are spread.
// What comes up during one waits for the next (draft-ietf-core-groupcomm-bis,
// Section 3.7).
type leisurePeriod struct {
	end     interface{ Stop() bool }
	waiting []*observer
}

func (g *leisurePeriod) stop() { g.end.Stop() }

// leisurely has an observer wait its time. n.mu is held.
func (n *observers) leisurely(ob *observer) {
	if g := n.groups[ob.group]; g != nil {
		g.waiting = append(g.waiting, ob)
		return
	}
	n.period(ob, []*observer{ob})
}

// period begins a leisure period of the group of ob for some observers. n.mu is
// held.
func (n *observers) period(ob *observer, due []*observer) {
	e := n.e
	group := ob.group
	n.groups[group] = &leisurePeriod{end: e.cfg.Clock.AfterFunc(e.cfg.Leisure, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		g := n.groups[group]
		delete(n.groups, group)
		if len(g.waiting) > 0 && !n.stopped {
			n.period(g.waiting[0], g.waiting)
		}
	})}
	for _, ob := range due {
		e.cfg.Clock.AfterFunc(time.Duration(e.jitter()*float64(e.cfg.Leisure)), func() {
			n.mu.Lock()
			defer n.mu.Unlock()
			if n.stopped || ob.gone {
				ob.busy = false
				return
			}
			n.turn(ob)
		})
	}
}
