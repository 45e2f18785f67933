package member

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/cose"
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
	if err := g.join(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("join group %s: %w", o.Group, err), g.end(context.WithoutCancel(ctx), ErrNotMember))
	}
	if !d.background(g.run) {
		return nil, ErrClosed
	}
	st := g.Status()
	d.event(Event{Kind: EventJoined, Group: g.name, Version: st.Version, SenderID: st.SenderID})
	return g, nil
}

// claim reserves the name, so that two Joins of one group cannot cross, and a
// number that no other group of this device ever had.
func (d *Device) claim(ctx context.Context, o JoinOptions) (*Group, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.closed:
		return nil, ErrClosed
	case d.groups[o.Group] != nil:
		return nil, fmt.Errorf("%w: %s", ErrAlreadyMember, o.Group)
	}
	n := d.count + 1
	b, err := encode(n)
	if err != nil {
		return nil, err
	}
	if err := d.cfg.Store.Update(ctx, func(tx *keystore.Tx) error { return tx.Put(groupCountName(), b) }); err != nil {
		return nil, err
	}
	d.count = n
	rec := groupRecord{Name: o.Group, Roles: uint64(o.Roles)}
	if o.Address.IsValid() {
		rec.Address = o.Address.String()
	}
	g := newGroup(d, n, rec)
	d.groups[o.Group] = g
	return g, nil
}

// join makes the exchange and installs its outcome.
func (g *Group) join(ctx context.Context) error {
	g.change.Lock()
	defer g.change.Unlock()
	roles := g.rec.roles()
	a, _, err := g.d.associated(ctx, ace.Scope{{Group: g.name, Roles: roles}})
	if err != nil {
		return err
	}
	info, err := a.joinInfo(g.name)
	if err != nil {
		return err
	}
	resp, node, nonce, err := g.joinExchange(ctx, a, info)
	if err != nil {
		return err
	}
	format := resp.Key.CredentialFormat
	if err := g.checkManager(resp, nonce, format, info); err != nil {
		return err
	}
	policies := groupcomm.DefaultPolicies()
	if resp.Policies != nil {
		policies = *resp.Policies
	}
	err = g.install(ctx, newEpoch{
		version: resp.Version, key: resp.Key, gmCred: resp.KDC.Credential, expires: resp.Expiry.Until(g.d.now(), true),
	}, nil, func(r *groupRecord) {
		r.Node, r.Nonce = node, nonce
		r.Check, r.Delta = int64(policies.CheckInterval/time.Second), int64(policies.ExpirationDelta/time.Second)
	})
	if err != nil {
		return err
	}
	if err := g.learn(ctx, resp.Peers, format); err != nil {
		return err
	}
	return g.hear()
}

// joinExchange makes the Join Request. One that the Group Manager answers with
// what the device should have known is made again, once.
func (g *Group) joinExchange(ctx context.Context, a *association, info *groupcomm.JoinInfo) (*groupcomm.JoinResponse, string, []byte, error) {
	for try := 0; ; try++ {
		req, err := g.joinRequest(ctx, a, info)
		if err != nil {
			return nil, "", nil, err
		}
		q := gmRequest{
			op: "join", code: codes.POST, path: "ace-group/" + g.name,
			format: ace.ContentFormatGroupcomm, payload: req.Marshal(),
		}
		r, err := g.d.managerRaw(ctx, q)
		if err != nil {
			return nil, "", nil, err
		}
		if cf, err := r.Options.ContentFormat(); try == 0 && r.Code == codes.BadRequest && err == nil && cf == ace.ContentFormatGroupcomm {
			fresh, err := groupcomm.ParseJoinInfo(r.Payload)
			if err != nil {
				return nil, "", nil, err
			}
			info = fresh
			if fresh.Challenge == nil {
				info.Challenge = a.challenge
			}
			continue
		}
		if err := q.refused(r); err != nil {
			return nil, "", nil, err
		}
		resp, err := groupcomm.ParseJoinResponse(r.Payload)
		if err != nil {
			return nil, "", nil, fmt.Errorf("join response: %w", err)
		}
		node, err := locationPath(r.Options)
		return resp, node, req.Nonce, err
	}
}

func (g *Group) joinRequest(ctx context.Context, a *association, info *groupcomm.JoinInfo) (*groupcomm.JoinRequest, error) {
	nonce, err := g.d.random(nonceSize)
	if err != nil {
		return nil, err
	}
	entry := ace.ScopeEntry{Group: g.name, Roles: g.rec.roles()}
	q := &groupcomm.JoinRequest{
		Scope: groupcomm.EncodeScope(entry), Entry: entry, GetCreds: &groupcomm.CredsFilter{},
		Nonce: nonce, ControlURI: g.d.controlURI(g.name),
	}
	if entry.Roles.MonitorOnly() {
		return q, nil
	}
	crv, err := infoCurve(info)
	if err != nil {
		return nil, err
	}
	id, err := g.d.identityFor(ctx, crv)
	if err != nil {
		return nil, err
	}
	q.Credential = id.cred.Bytes()
	challenge := info.Challenge
	if challenge == nil {
		challenge = a.challenge
	}
	input := groupcomm.ClientPoP(q.Scope, challenge, nonce)
	if info.Sign != nil {
		q.Evidence, err = groupcomm.SignEvidence(id.key, info.Sign.Algorithm, input)
		return q, err
	}
	if info.KDCDH == nil {
		return nil, fmt.Errorf("%w: the group manager gave no key for the proof of possession", ErrUnsupported)
	}
	gm, err := cose.ParseCredential(info.KDCDH.CredentialFormat, info.KDCDH.Credential)
	if err != nil {
		return nil, err
	}
	q.Evidence, err = groupcomm.MACEvidence(id.key, gm.PublicKey(), input)
	return q, err
}

// checkManager verifies the Group Manager's proof of possession before
// anything of the response is used (ace-key-groupcomm-oscore, Section 6.4).
func (g *Group) checkManager(r *groupcomm.JoinResponse, nonce []byte, f cose.CredentialFormat, info *groupcomm.JoinInfo) error {
	cred, err := cose.ParseCredential(f, r.KDC.Credential)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrManager, err)
	}
	input := groupcomm.KDCPoP(nonce, r.KDC.Nonce)
	if r.Key.UsesGroupMode() {
		err = groupcomm.VerifySignature(cred.PublicKey(), r.Key.Signature, input, r.KDC.Evidence)
	} else {
		var crv cose.Curve
		var id identity
		if crv, err = curveOf(r.Key); err == nil {
			if id, err = g.d.identityFor(g.d.ctx, crv); err == nil {
				err = groupcomm.VerifyMAC(id.key, cred.PublicKey(), input, r.KDC.Evidence)
			}
		}
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrManager, err)
	}
	return nil
}

// hear makes a member that answers or listens part of the multicast group.
func (g *Group) hear() error {
	if g.rec.Address == "" || !g.rec.roles().Has(ace.RoleResponder) && !g.rec.roles().MonitorOnly() {
		return nil
	}
	addr, err := netip.ParseAddrPort(g.rec.Address)
	if err != nil {
		return err
	}
	return g.listen(addr)
}

// joinInfo is what the answer to the token upload said about a group.
func (a *association) joinInfo(group string) (*groupcomm.JoinInfo, error) {
	j := &groupcomm.JoinInfo{Challenge: a.challenge}
	if a.info.SignInfo != nil {
		list, err := groupcomm.ParseSignInfo(a.info.SignInfo)
		if err != nil {
			return nil, err
		}
		j.Sign = about(list, group, func(e groupcomm.SignInfo) []string { return e.Groups })
	}
	if a.info.ECDHInfo != nil {
		list, err := groupcomm.ParseECDHInfo(a.info.ECDHInfo)
		if err != nil {
			return nil, err
		}
		j.ECDH = about(list, group, func(e groupcomm.ECDHInfo) []string { return e.Groups })
	}
	if a.info.KDCDHCreds != nil {
		list, err := groupcomm.ParseKDCDHCred(a.info.KDCDHCreds)
		if err != nil {
			return nil, err
		}
		j.KDCDH = about(list, group, func(e groupcomm.KDCDHCred) []string { return e.Groups })
	}
	return j, nil
}

func about[T any](list []T, group string, names func(T) []string) *T {
	for i := range list {
		for _, n := range names(list[i]) {
			if n == group {
				return &list[i]
			}
		}
	}
	return nil
}

// infoCurve is the curve that the group's keys are on. Without any word of the
// Group Manager it is the default of ace-key-groupcomm-oscore, Section 14.
func infoCurve(i *groupcomm.JoinInfo) (cose.Curve, error) {
	switch {
	case i.Sign != nil:
		if c, ok := i.Sign.Params.Curve(); ok {
			return c, nil
		}
		return 0, fmt.Errorf("%w: sign_info names no curve", ErrUnsupported)
	case i.ECDH != nil:
		if c, ok := i.ECDH.Params.Curve(); ok {
			return c, nil
		}
		return 0, fmt.Errorf("%w: ecdh_info names no curve", ErrUnsupported)
	}
	return cose.CurveEd25519, nil
}

// locationPath is the path of the new node resource.
func locationPath(opts message.Options) (string, error) {
	var segments []string
	for _, o := range opts {
		if o.ID == message.LocationPath {
			segments = append(segments, string(o.Value))
		}
	}
	if len(segments) != 4 || segments[0] != "ace-group" || segments[2] != "nodes" {
		return "", fmt.Errorf("join response: location %q is no node resource", strings.Join(segments, "/"))
	}
	return strings.Join(segments, "/"), nil
}
