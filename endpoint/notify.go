package endpoint

import (
	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/internal/coapmsg"
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

// ends says whether it is the last of its observation.
func (n *Notification) ends() bool { return n.Final || !coapmsg.IsSuccess(n.Code) }

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
		n.change(ob, give)
	}
	return len(n.paths[path])
}

// change notes that an observer is to be notified. To one whose observation is to
// end, a change is nothing any more. n.mu is held.
func (n *observers) change(ob *observer, give func(Peer) (Notification, bool)) {
	if ob.word == nil {
		ob.dirty, ob.give = true, give
		n.schedule(ob)
	}
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
	give, word := ob.give, ob.word
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
	switch {
	case word != nil && (!present || !note.ends()):
		note = *word
	case !present:
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
