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

// send protects a notification, once, and sends it.
func (n *observers) send(ob *observer, note Notification) {
	e := n.e
	var key transmissionKey
	if !ob.sock.stream() {
		var wait time.Duration
		if key, wait = e.transmit.number(ob.sock, ob.key.addr, true, false); wait > 0 {
			n.mu.Lock()
			n.later(ob, note, min(wait, notifyInterval))
			n.mu.Unlock()
			return
		}
	}
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
	n.later(ob, note, notifyInterval)
}

// later has an observer that is busy notified after a time, of this if there is
// nothing newer. n.mu is held.
func (n *observers) later(ob *observer, note Notification, d time.Duration) {
	if !ob.dirty {
		ob.dirty, ob.give = true, func(Peer) (Notification, bool) { return note, true }
	}
	n.e.cfg.Clock.AfterFunc(d, func() { n.settle(ob) })
}
