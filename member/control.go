package member

import (
	"context"
	"errors"
	"fmt"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/mux"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/endpoint"
)

// controlPattern is the resource at which the device takes what its Group
// Manager has to say about one group: POST brings a rekeying message, DELETE
// the notice of an eviction (RFC 9594, Sections 4.3.1 and 6; the path is the
// one ace-key-groupcomm-oscore suggests).
const controlPattern = "/ace-group/{group}/node"

// controlURI is where the Group Manager reaches the device about a group.
func (d *Device) controlURI(group string) string {
	return fmt.Sprintf("coap://%s/ace-group/%s/node", d.ep.LocalAddr(), group)
}

// serveControl serves the control resource. Only the association with the
// Group Manager may use it, whatever other OSCORE contexts there may be.
func (d *Device) serveControl(w mux.ResponseWriter, r *mux.Message) {
	answer := func(c codes.Code) { _ = w.SetResponse(c, message.TextPlain, nil) }
	p, ok := endpoint.PeerFrom(r.Context())
	if !ok {
		answer(codes.Unauthorized)
		return
	}
	if a, ok := p.Association.(*association); !ok || a == nil {
		answer(codes.Forbidden)
		return
	}
	g, err := d.Group(r.RouteParams.Vars["group"])
	if err != nil {
		answer(codes.NotFound)
		return
	}
	switch r.Code() {
	case codes.POST:
		answer(g.takeRekey(r))
	case codes.DELETE:
		if err := g.end(r.Context(), ErrEvicted); err != nil {
			d.cfg.Log.Error("keys of a group the device was evicted from are not deleted", "group", g.name, "err", err)
			answer(codes.InternalServerError)
			return
		}
		d.event(Event{Kind: EventEvicted, Group: g.name})
		answer(codes.Deleted)
	default:
		answer(codes.MethodNotAllowed)
	}
}

// takeRekey handles a rekeying message and returns the code of the answer. The
// answer confirms the version, so the new material is installed before it.
func (g *Group) takeRekey(r *mux.Message) codes.Code {
	if cf, err := r.ContentFormat(); err != nil || cf != ace.ContentFormatGroupcomm {
		return codes.UnsupportedMediaType
	}
	body, err := r.ReadBody()
	if err != nil {
		return codes.BadRequest
	}
	m, err := groupcomm.ParseRekeyMessage(body)
	if err != nil {
		g.d.cfg.Log.Warn("rekeying message is malformed", "group", g.name, "err", err)
		return codes.BadRequest
	}
	if err := g.rekey(r.Context(), m); err != nil {
		g.d.cfg.Log.Error("rekeying failed", "group", g.name, "version", m.Version, "err", err)
		if errors.Is(err, ErrNotMember) {
			return codes.NotFound
		}
		return codes.InternalServerError
	}
	return codes.Changed
}

// rekey installs the material of a rekeying message (ace-key-groupcomm-oscore,
// Section 11.3): the next version at once, a later one only after finding out
// which members became stale in between, an old one not at all.
func (g *Group) rekey(ctx context.Context, m *groupcomm.RekeyMessage) error {
	g.change.Lock()
	defer g.change.Unlock()
	g.mu.Lock()
	ended, have, stale := g.ended, g.rec.Epoch, g.rec.Stale
	g.mu.Unlock()
	switch {
	case ended != nil:
		return ended
	case m.Version <= have.Version && !stale:
		return nil
	case m.Version != have.Version+1 || stale:
		return g.recover(ctx)
	}
	k, err := groupcomm.ParseKeyMaterial(have.Material)
	if err != nil {
		return err
	}
	k.MasterSecret, k.MasterSalt, k.Gid = m.MasterSecret, m.MasterSalt, m.Gid
	err = g.install(ctx, newEpoch{
		version: m.Version, key: k, gmCred: have.GMCred, expires: m.Expiry.Until(g.d.now(), true),
	}, m.StaleIDs, nil)
	if err != nil {
		return err
	}
	if err := g.learn(ctx, m.Peers, k.CredentialFormat); err != nil {
		return err
	}
	g.d.event(Event{Kind: EventRekeyed, Group: g.name, Version: m.Version, SenderID: k.SenderID})
	return nil
}
