package endpoint

import (
	"net/netip"
	"sync"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// leisure counts the answers to group requests that wait for their time, in all
// and to each address.
type leisure struct {
	mu sync.Mutex
	n  int
	to map[netip.Addr]int
}

// enter takes a place, if there is one: a quarter of them for one address.
func (l *leisure) enter(to netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.n >= defaultPendingLeisure || l.to[to] >= defaultPendingLeisure/4 {
		return false
	}
	if l.to == nil {
		l.to = make(map[netip.Addr]int)
	}
	l.n++
	l.to[to]++
	return true
}

func (l *leisure) leave(to netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.n--
	if l.to[to]--; l.to[to] == 0 {
		delete(l.to, to)
	}
}

// answer protects a response once, and sends it: in the acknowledgement if
// there is still time, else as a message of its own; a response to a NON
// request is NON; one to a group request waits a random part of the leisure.
// present is false when the handler gave none. o is nil for a plain request.
func (e *Endpoint) answer(f *inflight, req message.Message, o *Opened, resp message.Message, present bool, how kept) {
	e.answerWith(f, req, o, resp, present, how, ProtectOptions{})
}

func (e *Endpoint) answerWith(f *inflight, req message.Message, o *Opened, resp message.Message, present bool, how kept, po ProtectOptions) {
	if !present || e.suppressed(f, req, o, resp.Code) {
		e.finishSilently(f, how)
		return
	}
	if o != nil {
		var err error
		if resp, err = o.Protect(resp, po); err != nil {
			e.drop(DropProtect)
			e.cfg.Log.Warn("response not protected", "to", f.d.from, "error", err)
			e.finishSilently(f, how)
			return
		}
	}
	e.sendResponse(f, resp, how)
}

// suppressed says whether a response stays unsent: errors to a group
// (draft-ietf-core-groupcomm-bis, Section 3.1.2) and what the client does not
// want (RFC 7967). No-Response makes an endpoint say more only where
// ErrorsToGroups lets it.
func (e *Endpoint) suppressed(f *inflight, req message.Message, o *Opened, code codes.Code) bool {
	if f.multicast() && !coapmsg.IsSuccess(code) && !(f.toGroups && o != nil && asksFor(req.Options, code)) {
		e.drop(DropMulticastError)
		return true
	}
	if class := code >> 5; class == 0 || !suppresses(req.Options, 1<<(class-1)) {
		return false
	}
	e.drop(DropSuppressed)
	return true
}

// finishSilently ends a request without a response. A confirmable one is
// acknowledged all the same, so that it is not sent again.
func (e *Endpoint) finishSilently(f *inflight, how kept) {
	e.acks.remove(f)
	separate := f.finish()
	var ack []byte
	if f.con {
		ack = []byte{0x60, 0, byte(f.mid >> 8), byte(f.mid)}
	}
	e.dedup.end(f, how, ack, e.cfg.Clock.Now())
	if f.con && !separate {
		e.send(e.answerSocket(f.d), ack, f.d.from, e.answerAddr(f.d))
	}
}

// abandon ends a request as if it had never come.
func (e *Endpoint) abandon(f *inflight) {
	e.acks.remove(f)
	f.finish()
	e.dedup.end(f, forget, nil, e.cfg.Clock.Now())
}

// abandonAs is one of the two, for a plain request or a verified one.
func (e *Endpoint) abandonAs(f *inflight, o *Opened) {
	if o == nil {
		e.abandon(f)
	} else {
		e.abandonVerified(f)
	}
}

// abandonVerified ends a request without any answer and remembers it.
func (e *Endpoint) abandonVerified(f *inflight) {
	e.acks.remove(f)
	f.finish()
	e.dedup.end(f, keep, nil, e.cfg.Clock.Now())
}

// refuse answers a unicast request with an error in clear, and counts the
// reason; a group request is dropped. A NON request with an option that is not
// understood is dropped too (RFC 7252, Section 5.4.1).
func (e *Endpoint) refuse(f *inflight, why Reason, code codes.Code, diagnostic string) {
	e.drop(why)
	if f.multicast() || why == DropCriticalOption && !f.reliable() {
		e.abandon(f)
		return
	}
	e.sendResponse(f, message.Message{Code: code, Payload: []byte(diagnostic)}, forget)
}

// refuseOSCORE is refuse for the errors of OSCORE processing, which carry
// Max-Age 0 so that no proxy caches them (RFC 8613, Section 8.2).
func (e *Endpoint) refuseOSCORE(f *inflight, why Reason, code codes.Code, diagnostic string) {
	e.drop(why)
	if f.multicast() {
		e.abandon(f)
		return
	}
	e.sendResponse(f, message.Message{
		Code:    code,
		Options: message.Options{{ID: message.MaxAge}},
		Payload: []byte(diagnostic),
	}, forget)
}

// sendResponse encodes and sends what is now fixed to the byte.
func (e *Endpoint) sendResponse(f *inflight, resp message.Message, how kept) {
	e.acks.remove(f)
	separate := f.finish()
	if f.outer != nil {
		resp = e.cut(f, resp)
	}
	resp.Token = f.token
	if f.stream() {
		e.sendFrame(f, resp)
		return
	}
	sock, from := e.answerSocket(f.d), e.answerAddr(f.d)
	var key transmissionKey
	if f.con && !separate {
		resp.Type, resp.MessageID = message.Acknowledgement, int32(f.mid)
	} else {
		resp.Type = message.NonConfirmable
		if f.con {
			resp.Type = message.Confirmable
		}
		key = e.transmit.answerTo(sock, f.d.remote(), f.mid)
		resp.MessageID = int32(key.mid)
	}
	data, err := coapmsg.AppendDatagram(nil, resp)
	if err != nil {
		e.drop(DropProtect)
		e.cfg.Log.Error("response cannot be encoded", "error", err)
		e.dedup.end(f, how, nil, e.cfg.Clock.Now())
		return
	}
	stored := data
	if separate {
		stored = []byte{0x60, 0, byte(f.mid >> 8), byte(f.mid)}
	}
	e.dedup.end(f, how, stored, e.cfg.Clock.Now())
	switch {
	case f.multicast():
		e.sendLeisurely(sock, data, f)
	case separate:
		e.transmit.start(&transmission{key: key, data: data, sock: sock, from: from, strange: how != keep, done: func(o outcome) {
			if o == exhausted {
				e.drop(DropUnacknowledged)
			}
		}}, true)
	default:
		e.send(sock, data, f.d.from, from)
	}
}

// sendLeisurely sends at a random time within the leisure (RFC 7252,
// Section 8.2).
func (e *Endpoint) sendLeisurely(s *socket, data []byte, f *inflight) {
	to := f.d.from.Addr()
	if !e.leisure.enter(to) {
		e.drop(DropLeisure)
		return
	}
	d := time.Duration(e.jitter() * float64(e.cfg.Leisure))
	e.cfg.Clock.AfterFunc(d, func() {
		e.leisure.leave(to)
		if e.ctx.Err() == nil {
			e.send(s, data, f.d.from, e.answerAddr(f.d))
		}
	})
}
