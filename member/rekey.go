package member

import (
	"context"
	"errors"

	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/mux"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/ace/groupcomm"
)

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
	err = g.rekey(r.Context(), m)
	switch {
	case err == nil:
		return codes.Changed
	case errors.Is(err, ErrNotMember):
		return codes.NotFound
	}
	g.d.cfg.Log.Error("rekeying failed", "group", g.name, "version", m.Version, "err", err)
	return codes.InternalServerError
}

// rekey takes a rekeying message (ace-key-groupcomm-oscore, Section 11.2): the
// next version is installed at once, a later one only after finding out which
// members became stale in between, an older one not at all.
func (g *Group) rekey(ctx context.Context, m *groupcomm.RekeyMessage) error {
	end, err := g.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	if err := g.Err(); err != nil {
		return err
	}
	rec := g.record()
	switch {
	case !rec.Stale && m.Version <= rec.Epoch.Version:
		return nil
	case rec.Stale || m.Version != rec.Epoch.Version+1:
		if err := g.recover(ctx); err != nil {
			return g.gone(ctx, err)
		}
	default:
		if err := g.take(ctx, m, nil); err != nil {
			return err
		}
	}
	// What a device lacked after a restart it has now.
	return g.isBack()
}

// take installs the material of a rekeying message. edit, if not nil, changes the
// rest of the record in the same effect.
func (g *Group) take(ctx context.Context, m *groupcomm.RekeyMessage, edit func(*groupRecord)) error {
	rec := g.record()
	_, k, err := rec.Epoch.params()
	if err != nil {
		return err
	}
	if m.Config != nil {
		id := k.SenderID
		k = *m.Config
		k.SenderID = id
	}
	k.MasterSecret, k.MasterSalt, k.Gid = m.MasterSecret, m.MasterSalt, m.Gid
	gmCred, err := g.managerCredential(ctx, k, m.KDCCredential)
	if err != nil {
		return err
	}
	err = g.install(ctx, newEpoch{
		version: m.Version, key: k, gmCred: gmCred, expires: ends(m.Expiry, g.d.now()),
	}, m.StaleIDs, edit)
	if err != nil {
		return err
	}
	g.learn(ctx, m.Peers, k.CredentialFormat)
	g.event(EventRekeyed)
	return nil
}
