package member

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/keystore"
)

// JoinOptions says which group to join and how.
type JoinOptions struct {
	// Group is its name at the Group Manager. Required.
	Group string
	// Roles to join with: requester, responder, both, or monitor. Required.
	Roles ace.Roles
	// Address is the group's multicast address and port; an invalid one means
	// that the group is not reached by multicast from here. A responder or
	// monitor joins it.
	Address netip.AddrPort
}

// Join makes the device a member of a group (ace-key-groupcomm-oscore,
// Section 6): it gets a token that covers the group, proves possession of its
// private key, checks that the Group Manager has its own, and installs the
// keys. Nothing is kept of a Join that fails.
func (d *Device) Join(ctx context.Context, o JoinOptions) (*Group, error) {
	if err := errors.Join(ace.CheckGroupName(o.Group), o.Roles.CheckJoin()); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	if o.Address.IsValid() && !o.Address.Addr().IsMulticast() {
		return nil, fmt.Errorf("%w: %s is no multicast address", ErrConfig, o.Address)
	}
	g, err := d.claim(ctx, o)
	if err != nil {
		return nil, err
	}
	err = g.joinFirst(ctx)
	if err == nil && !g.start() {
		err = ErrClosed
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("join group %s: %w", o.Group, err), g.end(ctx, ErrNotMember))
	}
	g.event(EventJoined)
	return g, nil
}

// claim reserves the name, so that two Joins of one group cannot cross, and a
// number that no other group of this device ever had.
func (d *Device) claim(ctx context.Context, o JoinOptions) (*Group, error) {
	rec := groupRecord{Name: o.Group, Roles: uint64(o.Roles)}
	if o.Address.IsValid() {
		rec.Address = o.Address.String()
	}
	d.mu.Lock()
	switch {
	case d.closed:
		d.mu.Unlock()
		return nil, ErrClosed
	case d.groups[o.Group] != nil:
		d.mu.Unlock()
		return nil, fmt.Errorf("%w: %s", ErrAlreadyMember, o.Group)
	}
	d.count++
	n := d.count
	g := newGroup(d, n, rec)
	d.groups[o.Group] = g
	d.mu.Unlock()
	err := d.cfg.Store.Update(ctx, func(tx *keystore.Tx) error { return raise(tx, groupCountName(), n) })
	if err != nil {
		d.mu.Lock()
		delete(d.groups, o.Group)
		d.mu.Unlock()
		return nil, err
	}
	return g, nil
}

// raise stores a number unless there is a greater one.
func raise(tx *keystore.Tx, name keystore.Name, n uint64) error {
	old, err := tx.Get(name)
	if err == nil {
		var have uint64
		if err = decode(name, old, &have); err != nil || have >= n {
			return err
		}
	} else if !errors.Is(err, keystore.ErrNotFound) {
		return err
	}
	b, err := encode(n)
	if err != nil {
		return err
	}
	return tx.Put(name, b)
}

func (g *Group) joinFirst(ctx context.Context) error {
	end, err := g.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	return g.join(ctx)
}

// join makes the exchange and installs its outcome. The caller has the turn to
// change the group.
func (g *Group) join(ctx context.Context) error {
	if err := g.listen(); err != nil {
		return err
	}
	j, err := g.joinExchange(ctx)
	if err != nil {
		return err
	}
	if err := j.check(ctx, g); err != nil {
		return err
	}
	policies := groupcomm.DefaultPolicies()
	if j.resp.Policies != nil {
		policies = *j.resp.Policies
	}
	err = g.install(ctx, newEpoch{
		version: j.resp.Version, key: j.resp.Key, gmCred: j.resp.KDC.Credential,
		expires: ends(j.resp.Expiry, g.d.now()), lost: !j.created,
	}, nil, func(r *groupRecord) {
		r.Node, r.Nonce, r.Curve, r.Next = j.node, j.nonce, j.curve, nil
		r.Check, r.Delta = int64(policies.CheckInterval/time.Second), int64(policies.ExpirationDelta/time.Second)
	})
	if err != nil {
		return err
	}
	g.learn(ctx, j.resp.Peers, j.resp.Key.CredentialFormat)
	g.checked(true)
	return nil
}
