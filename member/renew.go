package member

import (
	"context"
	"errors"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/ace/groupcomm"
)

// renewSenderID asks for new individual keying material: a new Sender ID, or a
// rekeying message if the Group Manager rather rekeys (ace-key-groupcomm-oscore,
// Section 9.2). It is for a device that lost its windows, or is about to spend
// its last sequence number. The caller holds change.
func (g *Group) renewSenderID(ctx context.Context) error {
	g.mu.Lock()
	node, rec := g.rec.Node, g.rec
	g.mu.Unlock()
	r, err := g.d.manager(ctx, gmRequest{op: "new sender id", code: codes.POST, path: node})
	if err != nil {
		return err
	}
	n, err := groupcomm.ParseRenewal(r.Payload)
	if err != nil {
		return err
	}
	k, err := groupcomm.ParseKeyMaterial(rec.Epoch.Material)
	if err != nil {
		return err
	}
	if n.Rekey != nil {
		k.MasterSecret, k.MasterSalt, k.Gid = n.Rekey.MasterSecret, n.Rekey.MasterSalt, n.Rekey.Gid
		return g.install(ctx, newEpoch{
			version: n.Rekey.Version, key: k, gmCred: rec.Epoch.GMCred, expires: n.Rekey.Expiry.Until(g.d.now(), true),
		}, n.Rekey.StaleIDs, nil)
	}
	k.SenderID = n.SenderID.SenderID
	rec.Epoch.Material, rec.Epoch.SenderID = k.Marshal(), k.SenderID
	rec.Epoch.Serial++
	// The Gid is the old one, so requests from before the loss could be
	// replayed: the windows start invalid, and Echo is the way back.
	cx, err := g.makeContext(ctx, &rec, true, func(ctx context.Context, upTo uint64) error { return g.save(ctx, rec, upTo) })
	if err != nil {
		return err
	}
	g.mu.Lock()
	old := g.ctx
	g.mu.Unlock()
	if old != nil {
		g.d.contexts.RemoveGroup(old)
	}
	if err := g.use(rec, cx, nil, nil); err != nil {
		return err
	}
	g.d.event(Event{Kind: EventNewID, Group: g.name, Version: rec.Epoch.Version, SenderID: k.SenderID})
	return nil
}

// comeBack brings a resumed group to work. What the device needs for that
// depends on what it does: one that answers requests has lost its windows and
// needs new parameters, one that only sends has all it needs in its store.
func (g *Group) comeBack(ctx context.Context) error {
	g.change.Lock()
	defer g.change.Unlock()
	g.mu.Lock()
	rec := g.rec
	g.mu.Unlock()
	err := error(nil)
	v, err := g.fetchVersion(ctx)
	switch {
	case err != nil:
	case rec.Stale || v != rec.Epoch.Version:
		err = g.recover(ctx)
	case rec.roles().Has(ace.RoleResponder):
		err = g.renewSenderID(ctx)
	}
	if err == nil {
		err = g.hear()
	}
	if errors.Is(err, errNoMember) {
		return errors.Join(ErrEvicted, g.end(ctx, ErrEvicted))
	}
	return err
}

// resumeGroup takes up a group of the store. A member that only sends goes on
// at once with what the store has; any other one comes back as soon as the
// Group Manager can be reached.
func (d *Device) resumeGroup(ctx context.Context, n uint64, rec groupRecord) error {
	g := newGroup(d, n, rec)
	if err := g.loadPeers(); err != nil {
		return err
	}
	if rec.Epoch.Serial == 0 {
		return g.delete(ctx) // a join that did not come to its end
	}
	d.mu.Lock()
	d.groups[rec.Name] = g
	d.mu.Unlock()
	if !rec.Stale && !rec.roles().Has(ace.RoleResponder) && !rec.roles().MonitorOnly() {
		cx, err := g.makeContext(ctx, &rec, false, func(ctx context.Context, upTo uint64) error {
			st := d.cfg.Store.Sequence(sequenceName(n, rec.Epoch.Serial))
			if _, err := st.High(ctx); err != nil {
				return err
			}
			return st.Reserve(ctx, upTo)
		})
		if err != nil {
			return err
		}
		if err := g.use(rec, cx, nil, nil); err != nil {
			return err
		}
		g.check = true
	} else {
		g.back = true
	}
	if !d.background(g.run) {
		return ErrClosed
	}
	return nil
}
