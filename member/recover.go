package member

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// recover brings the device from an outdated version of the keying material to
// the current one (ace-key-groupcomm-oscore, Section 11.3). The old material is
// given up first; the current one is fetched, but installed only after the
// members that became stale in between were forgotten, or all members if it
// cannot be told who they are. The stale ones are asked for after the material
// was fetched, so that a rekeying in between cannot hide any. The caller has
// the turn to change the group.
func (g *Group) recover(ctx context.Context) error {
	if err := g.drop(ctx); err != nil {
		return err
	}
	k, err := g.fetchMaterial(ctx)
	if err != nil {
		return err
	}
	rec := g.record()
	stale, known, err := g.fetchStale(ctx, rec.Epoch.Version)
	if err != nil {
		return err
	}
	if !known {
		g.dir.forgetAll()
		if err := g.deleteAllPeers(ctx); err != nil {
			return err
		}
	}
	gmCred, err := g.fetchManagerCredential(ctx, k.Key)
	if err != nil {
		return err
	}
	err = g.install(ctx, newEpoch{
		version: k.Version, key: k.Key, gmCred: gmCred, expires: ends(k.Expiry, g.d.now()),
	}, stale, nil)
	if err != nil {
		return err
	}
	g.mu.Lock()
	g.todo.peers = true
	g.mu.Unlock()
	g.event(EventMissed)
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
		// It does not take the device's version for an older one: its own
		// state was set back, and nothing it knows of stale members is whole.
		return nil, false, nil
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
	r, err := g.d.manager(ctx, gmRequest{op: "current keying material", code: codes.GET, path: g.record().Node})
	if err != nil {
		return nil, err
	}
	return groupcomm.ParseKeyResponse(r.Payload)
}

// managerCredential returns the Group Manager's credential for new material that
// came with the news that it is told now, nil if nothing was said of it. The
// message has no proof, so another one than before is fetched with its proof. If
// that yields another one than told, the material is not to be installed: nothing
// would verify under it.
func (g *Group) managerCredential(ctx context.Context, k groupcomm.KeyMaterial, told []byte) ([]byte, error) {
	old := g.record().Epoch.GMCred
	if told == nil || bytes.Equal(told, old) {
		return old, nil
	}
	c, err := g.fetchManagerCredential(ctx, k)
	if err == nil && !bytes.Equal(c, told) {
		err = fmt.Errorf("%w: the credential that its message names is not the one that it proves", ErrManager)
	}
	return c, err
}

// fetchManagerCredential gets the Group Manager's credential, which is part of
// what every message authenticates, and takes it if the proof that belongs to
// it holds (RFC 9594, Section 4.5.1). Otherwise, and if the Group Manager does not
// give it out, the one before stays. That it cannot answer now is an error.
func (g *Group) fetchManagerCredential(ctx context.Context, k groupcomm.KeyMaterial) ([]byte, error) {
	rec := g.record()
	r, err := g.d.manager(ctx, gmRequest{
		op: "credential of the group manager", code: codes.GET, path: "ace-group/" + g.name + "/kdc-cred",
	})
	var refused *Refused
	if errors.As(err, &refused) && !errors.Is(err, errNoMember) && refused.Code < codes.InternalServerError {
		return rec.Epoch.GMCred, nil
	}
	if err != nil {
		return nil, err
	}
	c, err := groupcomm.ParseKDCCred(r.Payload)
	if err == nil {
		err = g.checkManager(ctx, *c, k, rec.Nonce)
	}
	if err != nil {
		if rec.Epoch.GMCred == nil {
			return nil, fmt.Errorf("credential of the group manager: %w", err)
		}
		g.d.cfg.Log.Warn("new credential of the group manager is not taken", "group", g.name, "err", err)
		return rec.Epoch.GMCred, nil
	}
	return c.Credential, nil
}
