package member

import (
	"context"
	"errors"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/oscore"
)

const defaultCheck = groupcomm.DefaultCheckInterval

// run is the goroutine of a group. It reserves sequence numbers, ends what has
// expired, and runs errands to the Group Manager: it comes back after a
// restart, asks for the current version, for a new Sender ID, for a new token
// and for credentials that are wanted.
func (g *Group) run(ctx context.Context) {
	for {
		wait := g.work(ctx)
		t := g.d.cfg.Clock.AfterFunc(wait, g.wake)
		select {
		case <-ctx.Done():
		case <-g.done:
		case <-g.kick:
		}
		t.Stop()
		if ctx.Err() != nil || g.Err() != nil {
			return
		}
	}
}

// work does what there is to do and returns how long there is nothing more.
func (g *Group) work(ctx context.Context) time.Duration {
	if err := g.topUp(ctx); err != nil && ctx.Err() == nil {
		g.d.cfg.Log.Error("sequence numbers cannot be reserved", "group", g.name, "err", err)
	}
	g.expire()
	if g.next(g.d.now()) == 0 {
		if err := g.errand(ctx); err != nil {
			if ctx.Err() != nil || g.Err() != nil {
				return 0
			}
			g.d.cfg.Log.Warn("group needs another try", "group", g.name, "err", err)
			g.postpone()
		} else {
			g.mu.Lock()
			g.todo.notBefore = time.Time{}
			g.todo.retry.reset()
			g.mu.Unlock()
		}
	}
	return g.next(g.d.now())
}

// postpone puts errands off after one that failed.
func (g *Group) postpone() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.todo.notBefore = g.d.now().Add(g.todo.retry.next(g.d))
}

// expire ends the use of keys whose time is over: those of the former epoch,
// and those of this one. Between the expiration and the end of the Expiration
// Delta they only serve to decrypt (RFC 9594, Section 4.3.1).
func (g *Group) expire() {
	now := g.d.now()
	g.mu.Lock()
	l := g.live
	if l == nil {
		g.mu.Unlock()
		return
	}
	lapsed := !g.lapsed && !now.Before(g.expires)
	if lapsed {
		g.lapsed, g.todo.check = true, true
	}
	over := !g.suspended && !now.Before(g.lastUse())
	if over {
		g.suspended = true
	}
	former := !g.oldUntil.IsZero() && !now.Before(g.oldUntil)
	if former {
		g.oldUntil = time.Time{}
	}
	g.mu.Unlock()
	if former {
		l.group.Expire(now)
	}
	if over {
		l.group.Suspend() // until Install
	}
	if lapsed {
		g.event(EventExpired)
	}
}

// ends is when keying material that came at now expires: by exp if the device's
// clock can be right about that, else by exi (RFC 9594, Section 4.3.1). A clock
// that was never set is years behind, and would never see the end.
func ends(e groupcomm.Expiry, now time.Time) time.Time {
	relative, absolute := e.Until(now, false), e.Until(now, true)
	if absolute.After(now) && absolute.Before(relative) {
		return absolute
	}
	return relative
}

// expires is when the epoch of a record expires, in terms of now. The time is
// stored by the wall clock; in memory it does not follow when that is set.
func (r *groupRecord) expires(now time.Time) time.Time {
	return now.Add(time.Unix(r.Epoch.Expires, 0).Sub(now))
}

// lastUse is when the epoch must not even decrypt any more. Group.mu is held.
func (g *Group) lastUse() time.Time {
	return g.expires.Add(time.Duration(g.rec.Delta) * time.Second)
}

// next returns how long until there is something to do, 0 if there is now.
func (g *Group) next(now time.Time) time.Duration {
	var token time.Time
	if a := g.d.association(); a != nil {
		if t, lost := a.state(); !lost {
			token = t.renew
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	a := &g.todo
	at := a.checkAt
	soon := func(t time.Time) {
		if !t.IsZero() && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	soon(a.hintAt)
	soon(token)
	soon(a.showAt)
	if a.back || a.check || a.peers || g.live.tired() || g.live != nil && g.rec.Next != nil {
		soon(now)
	}
	if len(a.wanted) > 0 {
		soon(a.fetches.ready(now))
	}
	if at.Before(a.notBefore) {
		at = a.notBefore
	}
	// What needs no Group Manager does not wait for errands.
	if g.live != nil && !g.lapsed {
		soon(g.expires)
	}
	if g.live != nil && !g.suspended {
		soon(g.lastUse())
	}
	soon(g.oldUntil)
	return max(at.Sub(now), 0)
}

// errand does what is due at the Group Manager. What fails stays to be done.
func (g *Group) errand(ctx context.Context) error {
	now := g.d.now()
	g.mu.Lock()
	a := &g.todo
	if !a.hintAt.IsZero() && !now.Before(a.hintAt) {
		a.hinted = a.hinted || !a.check
		a.check, a.hintAt = true, time.Time{}
	}
	due := a.check || !now.Before(a.checkAt)
	back, peers, tired, renewal := a.back, a.peers, g.live.tired(), g.live != nil && g.rec.Next != nil
	show := !a.showAt.IsZero() && !now.Before(a.showAt)
	g.mu.Unlock()
	var err error
	switch {
	case back, due:
		err = g.Check(ctx)
	case tired || renewal:
		err = g.renew(ctx)
	case show:
		err = g.show(ctx)
	}
	if err != nil {
		return err
	}
	if _, _, err := g.d.associated(ctx, nil); err != nil {
		return err
	}
	if peers {
		if err := g.fetchPeers(ctx); err != nil {
			return err
		}
	}
	return g.fetchWanted(ctx)
}

// renew asks for a new Sender ID before the sequence numbers run out, and goes on
// with a new key pair.
func (g *Group) renew(ctx context.Context) error {
	end, err := g.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	if !g.using().tired() && g.record().Next == nil {
		return nil
	}
	return g.gone(ctx, g.renewSenderID(ctx))
}

// gone ends the membership if err says that there is none any more: the Group
// Manager knows of none, or the device has no right to it.
func (g *Group) gone(ctx context.Context, err error) error {
	if over(err) {
		return g.evicted(ctx)
	}
	return err
}

func over(err error) bool {
	var r *Refused
	return errors.Is(err, errNoMember) || errors.Is(err, errDenied) || errors.As(err, &r) && r.Code == codes.Forbidden
}

// spent reports whether sending failed for want of sequence numbers, and
// whether there are some now.
func (g *Group) spent(ctx context.Context, err error) (again bool) {
	if !errors.Is(err, oscore.ErrSequenceNotReserved) {
		return false
	}
	return g.topUp(ctx) == nil
}
