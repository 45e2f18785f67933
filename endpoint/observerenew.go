package endpoint

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"

	"github.com/cohort-iot/cohort/grouposcore"
)

// again registers at one server once more, with the same token and another
// Message ID, protected anew (RFC 7641, Section 3.3.1; RFC 8613,
// Section 4.1.3.5.1; draft-ietf-core-groupcomm-bis, Section 3.7).
func (o *observation) again(s *observed, m message.Message) {
	if s.starting {
		return
	}
	s.starting = true
	s.due = time.Time{}
	r := o.r
	if o.multi {
		peer := s.peer
		r.To, r.Security = peer.Addr, towards(o.r.Security, &peer)
	}
	token := o.x
	if s.lost {
		token = nil
	}
	o.wg.Go(func() {
		var known *exchange
		h := &hooks{fail: o.fail, sending: func(x *exchange) {
			if o.tell(registration{s, x, nil}) {
				known = x
			}
		}}
		x, err := o.e.begin(o.ctx, &r, m, token, h)
		switch {
		case err == nil && known == nil:
			o.e.end(x) // the observation ended meanwhile
		case err != nil && known != nil:
			o.fail(known, err)
		case err != nil:
			o.tell(registration{s, nil, err})
		}
	})
}

// tell hands a registration to the goroutine of the observation, unless that is
// over.
func (o *observation) tell(reg registration) bool {
	select {
	case o.started <- reg:
		return true
	case <-o.ctx.Done():
		return false
	}
}

// register takes a registration that is being sent.
func (o *observation) register(reg registration) {
	s := reg.s
	s.starting, s.waiting = false, reg.err == nil
	if reg.err != nil {
		o.unanswered(s, reg.err)
		return
	}
	if s.lost {
		if reg.x.reuse { // it went to the connection that ended meanwhile
			o.e.end(reg.x)
			s.waiting, s.due = false, o.e.cfg.Clock.Now()
			return
		}
		for _, old := range s.attempts {
			if old != o.x {
				o.e.end(old)
			}
		}
		o.e.end(o.x)
		o.x, s.attempts, s.lost = reg.x, nil, false
	}
	s.attempts = append([]*exchange{reg.x}, s.attempts...)
	if len(s.attempts) > keptAttempts {
		if old := s.attempts[keptAttempts]; old != o.x {
			o.e.end(old)
		}
		s.attempts = s.attempts[:keptAttempts]
	}
	o.began(s, reg.x)
}

// keptAttempts is how many registrations at one server can be answered: the one
// before the last may still be the server's.
const keptAttempts = 2

// fail notes that a registration was not answered; called from anywhere.
func (o *observation) fail(x *exchange, err error) {
	o.mu.Lock()
	o.failures = append(o.failures, failure{x, err})
	o.mu.Unlock()
	o.poke()
}

func (o *observation) poke() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// failuresAndTimes looks for registrations that failed, and that are due.
func (o *observation) failuresAndTimes() {
	o.mu.Lock()
	failures := o.failures
	o.failures = nil
	o.mu.Unlock()
	now := o.e.cfg.Clock.Now()
	for _, f := range failures {
		for _, s := range o.byKey {
			ended := errors.Is(f.err, ErrConnection)
			switch {
			case s.waiting && s.attempts[0] == f.x:
				s.lost = s.lost || ended
				o.unanswered(s, f.err)
			case f.x == o.x && ended && s.heard && !s.ended:
				// The observation ended with its connection (RFC 8323,
				// Section 7.4), and so did what waits for an answer there: register
				// in a new one, with another token.
				s.lost, s.waiting, s.due = true, false, now
			}
		}
	}
	for _, s := range o.byKey {
		if !s.due.IsZero() && !now.Before(s.due) && !s.ended && !s.waiting && !s.starting {
			o.again(s, o.m)
		}
	}
}

// unanswered decides what becomes of a server that did not answer a
// registration: without any representation the observation fails; else it is
// asked again, ever more rarely.
func (o *observation) unanswered(s *observed, err error) {
	s.waiting = false
	if errors.Is(err, grouposcore.ErrNotMember) {
		// Who leaves a group ends what it began there
		// (draft-ietf-core-oscore-groupcomm, Section 5.1).
		o.finish(err)
		return
	}
	if s.ended || errors.Is(err, context.Canceled) {
		return
	}
	if !s.heard && !o.multi {
		o.finish(fmt.Errorf("%s: %w", o.r.To, err))
		return
	}
	o.report(fmt.Errorf("%s: %w: %w", s.peer.Addr, ErrStale, err))
	s.failed++
	s.due = o.e.cfg.Clock.Now().Add(min(renewRetry<<min(s.failed-1, 8), renewRetryMax))
}

// arm sets the timer to the first registration that is due. Where one waits to be
// sent, it is set when that is sent.
func (o *observation) arm() {
	if o.timer != nil {
		o.timer.Stop()
		o.timer = nil
	}
	var first time.Time
	for _, s := range o.byKey {
		if !s.due.IsZero() && !s.ended && !s.waiting && !s.starting && (first.IsZero() || s.due.Before(first)) {
			first = s.due
		}
	}
	if !first.IsZero() {
		o.timer = o.e.cfg.Clock.AfterFunc(max(0, first.Sub(o.e.cfg.Clock.Now())), o.poke)
	}
}
