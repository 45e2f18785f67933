package endpoint

import (
	"errors"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"

	"github.com/cohort-iot/cohort/grouposcore"
	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// arrived opens what came with the token of the observation, under the
// registrations that it can belong to.
func (o *observation) arrived(a arrival) {
	e := o.e
	m, ok := e.parseArrival(a)
	if !ok {
		return
	}
	candidates := o.group
	if s := o.byAddr[a.from]; s != nil {
		candidates = append(append([]*exchange{}, s.attempts...), o.group...)
	}
	_, n := coapmsg.FindOSCORE(m.Options)
	var last error
	for _, x := range candidates {
		if x.opener == nil || n == 0 {
			// Either both are plain, or openMessage says what this is.
			resp, err := e.openMessage(x, m, a)
			o.opened(x, resp, err, m.Type == message.Acknowledgement || a.sock.stream())
			return
		}
		in, peer, err := x.opener.OpenResponse(m, a.at)
		if err == nil {
			if unsupported(in.Options) {
				e.drop(DropCriticalOption)
				return
			}
			peer.Addr = a.from
			a.sock.fill(&peer)
			e.prober.answered(x.to.addr)
			o.opened(x, response(in, peer, a), nil, false)
			return
		}
		if errors.Is(err, ErrAgain) {
			o.opened(x, nil, err, false)
			return
		}
		last = err
	}
	switch {
	case last == nil:
		e.drop(DropUnexpected)
		return
	case errors.Is(last, grouposcore.ErrNotMember):
		o.finish(last)
	}
	e.unopenedResponse(o.x, a, last)
}

// opened takes a response that verified under the registration x, or that made
// openMessage return an error. piggybacked says that a plain one came in the
// acknowledgement of the registration, or in a connection.
func (o *observation) opened(x *exchange, resp *Response, err error, piggybacked bool) {
	e := o.e
	if resp == nil && err == nil {
		return
	}
	e.release(x)
	if resp == nil {
		s := o.byKey[""]
		switch {
		case o.multi:
		case errors.Is(err, ErrAgain) && s.current == nil:
			o.again(s, o.m)
		case s.current != x:
			o.finish(err) // an answer in clear to a registration
		default:
			e.drop(DropUnverified)
		}
		return
	}
	key := ""
	if o.multi {
		key = observedKey(&resp.Peer)
	}
	s := o.server(key, resp.Peer)
	if s == nil {
		e.drop(DropResponseQueue)
		return
	}
	if echo := challenge(resp); echo != nil && !s.echoed {
		s.echoed = true
		m := o.m
		m.Options = setOption(m.Options, message.Option{ID: coapmsg.Echo, Value: echo})
		o.again(s, m)
		return
	}
	if !o.newer(s, x, resp, piggybacked) {
		e.drop(DropStale)
		return
	}
	o.news(s, resp)
}

// observedKey tells the servers of a group apart: by credential if there is
// one, as Sender IDs change.
func observedKey(p *Peer) string {
	switch {
	case p.Credential != nil:
		return "c" + string(p.Credential.Bytes())
	case p.Mode != Plain:
		return "k" + string(p.SenderID)
	}
	return "a" + p.Addr.String()
}

// newer decides whether a response is newer than what came before from the same
// server. What answers a later registration is. Under one registration,
// protected responses are in order already: their openers see to it (RFC 8613,
// Section 7.4.1); plain ones go by RFC 7641, Section 3.4, unless they came in the
// acknowledgement of a later registration, or by TCP, which keeps their order and
// makes the value mean nothing (RFC 8323, Section 7.1).
func (o *observation) newer(s *observed, x *exchange, resp *Response, piggybacked bool) bool {
	if x != s.current && s.current != nil && x.serial < s.current.serial {
		return false
	}
	if v, ok := observeValue(resp); ok && resp.Peer.Mode == Plain && resp.Peer.Via != ViaTCP {
		if s.heard && (x == s.current || !piggybacked) && !fresher(s.seq, s.at, v, resp.Received) {
			return false
		}
		s.seq, s.at = v, resp.Received
	}
	if !s.inEpoch(string(resp.Peer.Gid)) {
		return false
	}
	if x != s.current {
		o.supersede(s, x)
		s.failed, s.waiting, s.echoed, s.renewed = 0, false, false, resp.Received
	}
	s.heard = true
	return true
}

// inEpoch notes the Gid of a response. What comes under a former one after a
// rekey is older than what came under the present one
// (draft-ietf-core-oscore-groupcomm, Section 5.3.1).
func (s *observed) inEpoch(gid string) bool {
	for i, known := range s.gids {
		if known == gid {
			return i == len(s.gids)-1
		}
	}
	if len(s.gids) == keptGids {
		s.gids = append(s.gids[:0], s.gids[1:]...)
	}
	s.gids = append(s.gids, gid)
	return true
}

// keptGids is how many Gids of one server are told apart.
const keptGids = 4

func observeValue(resp *Response) (uint32, bool) {
	v, ok := coapmsg.Get(resp.Options, message.Observe)
	n, err := coapmsg.DecodeUint(v)
	return n, ok && err == nil
}

// fresher is the rule of RFC 7641, Section 3.4.
func fresher(v1 uint32, t1 time.Time, v2 uint32, t2 time.Time) bool {
	return v1 < v2 && v2-v1 < 1<<23 || v1 > v2 && v1-v2 > 1<<23 || t2.After(t1.Add(128*time.Second))
}

// supersede makes x the registration of a server that counts.
func (o *observation) supersede(s *observed, x *exchange) {
	s.current = x
	kept := s.attempts[:0]
	for _, old := range s.attempts {
		if old.serial >= x.serial {
			kept = append(kept, old)
		} else if old != o.x {
			o.e.end(old)
		}
	}
	s.attempts = kept
}
