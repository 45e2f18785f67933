package member

import (
	"context"
	"errors"
	"fmt"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// recover brings the device from an outdated version of the keying material to
// the current one (ace-key-groupcomm-oscore, Section 11.3, missed rekeying; the
// case in which the version was learned otherwise than by a rekeying message).
// The old material is given up first, then the stale members are forgotten,
// all members if it cannot be told who they are, and only then the current
// material is installed. The caller holds change.
func (g *Group) recover(ctx context.Context) error {
	if err := g.drop(ctx); err != nil {
		return err
	}
	g.mu.Lock()
	from, gmCred := g.rec.Epoch.Version, g.rec.Epoch.GMCred
	g.mu.Unlock()

	stale, known, err := g.fetchStale(ctx, from)
	if err != nil {
		return err
	}
	if !known {
		g.dir.forgetAll()
		if err := g.deletePeers(ctx, nil); err != nil {
			return err
		}
	}
	k, err := g.fetchMaterial(ctx)
	if err != nil {
		return err
	}
	err = g.install(ctx, newEpoch{
		version: k.Version, key: k.Key, gmCred: gmCred, expires: k.Expiry.Until(g.d.now(), true),
	}, stale, nil)
	if err != nil {
		return err
	}
	if err := g.fetchPeers(ctx, groupcomm.CredsFilter{}); err != nil {
		return err
	}
	g.d.event(Event{Kind: EventMissed, Group: g.name, Version: k.Version, SenderID: k.Key.SenderID})
	return nil
}

// fetchStale asks which members became stale since a version; known is false
// if the Group Manager cannot tell.
func (g *Group) fetchStale(ctx context.Context, from uint64) (ids [][]byte, known bool, err error) {
	r, err := g.d.manager(ctx, gmRequest{
		op: "stale sender ids", code: coapmsg.FETCH, path: "ace-group/" + g.name + "/stale-sids",
		format: ace.ContentFormatCBOR, payload: groupcomm.MarshalNum(from),
	})
	var refused *Refused
	if errors.As(err, &refused) && refused.Code == codes.BadRequest {
		// Nothing newer than what the device has: nobody is stale.
		return nil, true, nil
	}
	if err != nil {
		return nil, false, err
	}
	if len(r.Payload) == 0 {
		return nil, false, nil
	}
	ids, err = groupcomm.ParseStaleSIDs(r.Payload)
	return ids, err == nil, err
}

// fetchMaterial gets the current keying material with the own Sender ID.
func (g *Group) fetchMaterial(ctx context.Context) (*groupcomm.KeyResponse, error) {
	g.mu.Lock()
	node := g.rec.Node
	g.mu.Unlock()
	r, err := g.d.manager(ctx, gmRequest{op: "current keying material", code: codes.GET, path: node})
	if err != nil {
		return nil, err
	}
	return groupcomm.ParseKeyResponse(r.Payload)
}

// fetchPeers gets credentials of other members.
func (g *Group) fetchPeers(ctx context.Context, f groupcomm.CredsFilter) error {
	q := gmRequest{op: "credentials", code: codes.GET, path: "ace-group/" + g.name + "/creds"}
	if f.Select {
		q.code, q.format, q.payload = coapmsg.FETCH, ace.ContentFormatGroupcomm, (&groupcomm.CredsRequest{Filter: f}).Marshal()
	}
	r, err := g.d.manager(ctx, q)
	if err != nil {
		return err
	}
	if groupcomm.IsEmptyResult(r.Payload) {
		return nil
	}
	c, err := groupcomm.ParseCredsResponse(r.Payload)
	if err != nil {
		return err
	}
	g.mu.Lock()
	version, material := g.rec.Epoch.Version, g.rec.Epoch.Material
	if c.Version != version {
		g.check = true // what was returned belongs to material the device does not have
	}
	g.mu.Unlock()
	if c.Version != version {
		g.wake()
		return fmt.Errorf("%w: credentials are of version %d", ErrStaleKey, c.Version)
	}
	k, err := groupcomm.ParseKeyMaterial(material)
	if err != nil {
		return err
	}
	format := k.CredentialFormat
	if format == 0 {
		format = cose.FormatCCS
	}
	return g.learn(ctx, c.Peers, format)
}

// fetchVersion asks for the current version of the keying material.
func (g *Group) fetchVersion(ctx context.Context) (uint64, error) {
	r, err := g.d.manager(ctx, gmRequest{op: "current version", code: codes.GET, path: "ace-group/" + g.name + "/num"})
	if err != nil {
		return 0, err
	}
	return groupcomm.ParseNum(r.Payload)
}

// Check asks the Group Manager for the current version of the keying material
// and catches up if the device missed a rekeying. The device does so by itself
// as often as the group's policy says.
func (g *Group) Check(ctx context.Context) error {
	g.change.Lock()
	defer g.change.Unlock()
	if err := g.Err(); err != nil {
		return err
	}
	v, err := g.fetchVersion(ctx)
	if err == nil {
		g.mu.Lock()
		same := v == g.rec.Epoch.Version && !g.rec.Stale && g.ctx != nil
		g.mu.Unlock()
		if same {
			return nil
		}
		err = g.recover(ctx)
	}
	if errors.Is(err, errNoMember) {
		return errors.Join(ErrEvicted, g.end(ctx, ErrEvicted))
	}
	return err
}
