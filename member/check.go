package member

import (
	"context"
	"errors"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/ace/groupcomm"
)

// Check asks the Group Manager for the current version of the keying material
// and catches up if the device missed a rekeying. The device does so by itself
// as often as the group's policy says, and when something hints at it.
func (g *Group) Check(ctx context.Context) error {
	end, err := g.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	if err := g.Err(); err != nil {
		return err
	}
	g.mu.Lock()
	back, resumed := g.todo.back, g.todo.resumed
	g.mu.Unlock()
	if back {
		err = g.comeBack(ctx)
	} else {
		err = g.catchUp(ctx)
	}
	if resumed && errors.Is(err, errNoMember) {
		err = g.rejoin(ctx)
	}
	return g.gone(ctx, err)
}

// catchUp compares versions. The caller has the turn to change the group.
func (g *Group) catchUp(ctx context.Context) error {
	v, err := g.fetchVersion(ctx)
	if err != nil {
		return err
	}
	rec := g.record()
	newer := rec.Stale || v != rec.Epoch.Version
	if newer {
		if err := g.recover(ctx); err != nil {
			return err
		}
	} else if g.hasLapsed() {
		if err := g.prolong(ctx); err != nil {
			return err
		}
	}
	if err := g.fetchActive(ctx); err != nil {
		return err
	}
	g.checked(newer)
	return nil
}

// fetchVersion asks for the current version of the keying material.
func (g *Group) fetchVersion(ctx context.Context) (uint64, error) {
	r, err := g.d.manager(ctx, gmRequest{op: "current version", code: codes.GET, path: "ace-group/" + g.name + "/num"})
	if err != nil {
		return 0, err
	}
	return groupcomm.ParseNum(r.Payload)
}

// fetchActive asks whether the group is active. While it is not, the device
// sends nothing to the group and takes nothing of it
// (ace-key-groupcomm-oscore, Section 9.9).
func (g *Group) fetchActive(ctx context.Context) error {
	r, err := g.d.manager(ctx, gmRequest{op: "group status", code: codes.GET, path: "ace-group/" + g.name + "/active"})
	var refused *Refused
	if errors.As(err, &refused) && !errors.Is(err, errNoMember) && refused.Code < codes.InternalServerError {
		return nil // a Group Manager that does not tell
	}
	if err != nil {
		return err
	}
	active, err := groupcomm.ParseActive(r.Payload)
	if err != nil {
		return err
	}
	g.setInactive(!active)
	return nil
}

func (g *Group) setInactive(inactive bool) {
	g.mu.Lock()
	was := g.inactive
	g.inactive = inactive
	g.mu.Unlock()
	switch {
	case inactive && !was:
		g.event(EventInactive)
	case was && !inactive:
		g.event(EventActive)
	}
}

func (g *Group) hasLapsed() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.lapsed
}

// prolong goes on with keys that are current and that the device took for
// expired, if the Group Manager says so: the clock of the device was set while
// it was off, or was wrong when it joined. The caller has the turn to change the
// group.
func (g *Group) prolong(ctx context.Context) error {
	k, err := g.fetchMaterial(ctx)
	if err != nil {
		return err
	}
	rec, now := g.record(), g.d.now()
	until := k.Expiry.Until(now, false)
	if k.Version != rec.Epoch.Version || !contains(rec.Spent, markOf(k.Key)) || !until.After(now) {
		return nil // newer ones will be there at the next check
	}
	rec.Epoch.Expires = until.Unix()
	if err := g.saveRecord(ctx, rec); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.expires, g.lapsed, g.suspended = rec.expires(now), false, false
	if l := g.live; l != nil {
		l.group.Install(l.cx, 0, now) // ends the suspension
	}
	g.wake()
	return nil
}
