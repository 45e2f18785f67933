package member

import (
	"context"
	"errors"
	"fmt"

	"github.com/cohort-iot/cohort/keystore"
)

// resume takes up the groups in the store.
func (d *Device) resume(ctx context.Context) error {
	recs := map[uint64]groupRecord{}
	err := d.cfg.Store.View(func(r keystore.Reader) error {
		b, err := r.Get(groupCountName())
		if err == nil {
			err = decode(groupCountName(), b, &d.count)
		} else if errors.Is(err, keystore.ErrNotFound) {
			err = nil
		}
		if err != nil {
			return err
		}
		return r.Scan(allGroupsName(), func(n keystore.Name, b []byte) error {
			var rec groupRecord
			if err := decode(n, b, &rec); err != nil {
				return err
			}
			recs[n.ID(0)] = rec
			return nil
		})
	})
	if err != nil {
		return fmt.Errorf("read the device's groups: %w", err)
	}
	for n, rec := range recs {
		if err := d.resumeGroup(ctx, n, rec); err != nil {
			return fmt.Errorf("resume group %s: %w", rec.Name, err)
		}
	}
	return d.sweepPeers(ctx, func(n uint64) bool {
		_, ok := recs[n]
		return ok
	})
}

// resumeGroup takes up one group. What the device needs for that depends on
// what it does: a member that only sends has all in its store, and so has one
// that takes requests if its windows were saved at a clean stop. Any other one
// comes back as soon as the Group Manager can be reached
// (draft-ietf-core-oscore-groupcomm-28, Section 2.6.1.1).
func (d *Device) resumeGroup(ctx context.Context, n uint64, rec groupRecord) error {
	g := newGroup(d, n, rec)
	if err := g.loadPeers(); err != nil {
		return err
	}
	windows, err := g.takeWindows(ctx)
	if err != nil {
		return err
	}
	d.mu.Lock()
	d.groups[rec.Name] = g
	d.mu.Unlock()
	g.todo.back, g.todo.check, g.todo.resumed = true, true, true
	if !rec.Stale && rec.Next == nil && (windows != nil || !rec.serves()) {
		err := g.takeUp(ctx, rec, windows)
		switch {
		case err == nil:
			g.todo.back = false
			if err := g.listen(); err != nil {
				return err
			}
		case errors.Is(err, keystore.ErrSequenceLost):
			d.cfg.Log.Warn("the device's state was set back: it asks for new keys", "group", g.name, "err", err)
		default:
			return err
		}
	}
	if !g.start() {
		return ErrClosed
	}
	return nil
}

// takeUp goes on with the epoch that the store has, and the windows of before
// the stop; without any, they start anew.
func (g *Group) takeUp(ctx context.Context, rec groupRecord, windows []byte) error {
	l, err := g.makeLive(ctx, &rec, nil, windows != nil || rec.serves(), func(ctx context.Context, upTo uint64) error {
		if upTo == 0 {
			return nil
		}
		st := g.d.cfg.Store.Sequence(sequenceName(g.number, rec.Epoch.Serial))
		if _, err := st.High(ctx); err != nil {
			return err
		}
		return st.Reserve(ctx, upTo)
	})
	if err != nil {
		return err
	}
	if windows != nil {
		if _, err := g.d.cfg.Store.Sequence(sequenceName(g.number, rec.Epoch.Serial)).High(ctx); err != nil {
			return err
		}
		if err := l.cx.RestoreWindows(windows); err != nil {
			return err
		}
	}
	return g.use(rec, l, nil)
}

// comeBack brings a resumed group to work with the help of the Group Manager.
// The caller has the turn to change the group.
func (g *Group) comeBack(ctx context.Context) error {
	if err := g.listen(); err != nil {
		return err
	}
	rec := g.record()
	v, err := g.fetchVersion(ctx)
	switch {
	case err != nil:
		return err
	case rec.Stale || v != rec.Epoch.Version:
		err = g.recover(ctx)
	case rec.roles().MonitorOnly():
		// It has no keys of its own to renew and cannot challenge anybody, so
		// it hears nobody before the next rekeying.
		g.d.cfg.Log.Warn("monitor lost its replay windows: it hears nothing until the group is rekeyed", "group", g.name)
		err = g.takeUp(ctx, rec, nil)
	default:
		err = g.renewSenderID(ctx)
	}
	if err != nil {
		if errors.Is(err, ErrInactive) {
			g.setInactive(true)
		}
		return err
	}
	if err := g.fetchActive(ctx); err != nil {
		return err
	}
	return g.isBack()
}

// isBack ends the return of a group.
func (g *Group) isBack() error {
	g.mu.Lock()
	g.todo.back = false
	g.mu.Unlock()
	g.checked(true)
	return g.listen()
}

// rejoin joins again after the Group Manager ended the membership while the
// device was off: usually its token had run out. What it still had is of no use
// any more.
func (g *Group) rejoin(ctx context.Context) error {
	if err := g.drop(ctx); err != nil {
		return err
	}
	g.dir.forgetAll()
	if err := g.deleteAllPeers(ctx); err != nil {
		return err
	}
	if err := g.join(ctx); err != nil {
		return err
	}
	g.event(EventJoined)
	return g.isBack()
}
