package member

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/grouposcore"
	"github.com/cohort-iot/cohort/keystore"
	"github.com/cohort-iot/cohort/oscore"
)

// newEpoch is keying material on its way to being installed.
type newEpoch struct {
	version uint64
	key     groupcomm.KeyMaterial // complete, with the own Sender ID unless a monitor
	gmCred  []byte
	expires time.Time
}

// reserve makes a function an oscore.SequenceStore.
type reserve func(ctx context.Context, upTo uint64) error

func (f reserve) Reserve(ctx context.Context, upTo uint64) error { return f(ctx, upTo) }

// install makes an epoch the current one: first durable together with its
// first block of sequence numbers, then used. stale are the members that went
// with the epoch before; edit, if not nil, changes the rest of the record in
// the same effect. The caller holds change.
func (g *Group) install(ctx context.Context, e newEpoch, stale [][]byte, edit func(*groupRecord)) error {
	g.mu.Lock()
	rec := g.rec
	old := g.ctx
	g.mu.Unlock()
	rec.Epoch = epochRecord{
		Version: e.version, Material: e.key.Marshal(), SenderID: e.key.SenderID,
		GMCred: e.gmCred, Expires: e.expires.Unix(), Serial: rec.Epoch.Serial + 1,
	}
	rec.Stale = false
	if edit != nil {
		edit(&rec)
	}
	cx, err := g.makeContext(ctx, &rec, false, func(ctx context.Context, upTo uint64) error {
		return g.save(ctx, rec, upTo)
	})
	if err != nil {
		return err
	}
	if err := g.deletePeers(ctx, append([][]byte{}, stale...)); err != nil {
		return err
	}
	return g.use(rec, cx, old, stale)
}

// makeContext builds the Security Context of a record's epoch. first reserves
// the first block of sequence numbers, together with whatever has to become
// durable with it; lost says that windows under this Gid existed and are gone.
func (g *Group) makeContext(ctx context.Context, rec *groupRecord, lost bool, first reserve) (*grouposcore.Context, error) {
	p, err := rec.Epoch.params()
	if err != nil {
		return nil, err
	}
	p.WindowsLost = lost
	if rec.Epoch.SenderID == nil {
		if err := first(ctx, 0); err != nil {
			return nil, err
		}
		return grouposcore.NewContext(p, grouposcore.Identity{}, nil, g.dir)
	}
	k, err := groupcomm.ParseKeyMaterial(rec.Epoch.Material)
	if err != nil {
		return nil, err
	}
	crv, err := curveOf(k)
	if err != nil {
		return nil, err
	}
	id, err := g.d.identityFor(ctx, crv)
	if err != nil {
		return nil, err
	}
	high, err := g.d.cfg.Store.Sequence(sequenceName(g.number, rec.Epoch.Serial)).High(ctx)
	if err != nil {
		return nil, err
	}
	seq := oscore.NewSequence(high)
	cx, err := grouposcore.NewContext(p, grouposcore.Identity{
		SenderID: rec.Epoch.SenderID, Credential: id.cred, PrivateKey: id.key,
	}, seq, g.dir)
	if err != nil {
		return nil, fmt.Errorf("security context of group %s: %w", g.name, err)
	}
	if err := seq.Reserve(ctx, first, g.d.cfg.SequenceBlock); err != nil {
		return nil, err
	}
	return cx, nil
}

// use switches to a context whose record is durable.
func (g *Group) use(rec groupRecord, cx *grouposcore.Context, old *grouposcore.Group, stale [][]byte) error {
	now := g.d.now()
	if err := g.Err(); err != nil {
		return err
	}
	if old != nil {
		old.PurgeStale(stale)
		g.dir.rekeyed(cx.Gid(), stale)
		old.Install(cx, g.d.cfg.KeepOld, now)
		g.mu.Lock()
		g.rec = rec
		g.mu.Unlock()
		g.wake()
		return nil
	}
	g.dir.rekeyed(cx.Gid(), stale)
	fresh := grouposcore.NewGroup(cx)
	g.d.contexts.AddGroup(fresh, endpoint.GroupOptions{Association: g, ResponseMode: g.answerMode})
	g.mu.Lock()
	g.rec, g.ctx = rec, fresh
	g.mu.Unlock()
	g.wake()
	return nil
}

// answerMode says how to protect the answer to a group member's request.
func (g *Group) answerMode(p endpoint.Peer) endpoint.Mode {
	if p.Mode == endpoint.GroupMode && !g.d.cfg.PairwiseAnswers {
		return endpoint.GroupMode
	}
	g.mu.Lock()
	cx := g.ctx
	g.mu.Unlock()
	if cx != nil && cx.Current().Supports(grouposcore.PairwiseMode) {
		return endpoint.PairwiseMode
	}
	return endpoint.GroupMode
}

// save writes the record, and the first block of its epoch if upTo is not 0.
// The block of the epoch before is deleted with it: nothing is sent under that
// any more, and its serial is never used again.
func (g *Group) save(ctx context.Context, rec groupRecord, upTo uint64) error {
	b, err := encode(rec)
	if err != nil {
		return err
	}
	return g.d.cfg.Store.Update(ctx, func(tx *keystore.Tx) error {
		if err := g.Err(); err != nil {
			return err // the membership ended meanwhile: its keys are not to come back
		}
		if err := tx.Put(groupName(g.number), b); err != nil {
			return err
		}
		if upTo == 0 {
			return nil
		}
		if rec.Epoch.Serial > 1 {
			if err := tx.Delete(sequenceName(g.number, rec.Epoch.Serial-1)); err != nil {
				return err
			}
		}
		return tx.ReserveSequence(sequenceName(g.number, rec.Epoch.Serial), upTo)
	})
}

// delete removes the record with its sequence numbers: the keys are gone.
func (g *Group) delete(ctx context.Context) error {
	g.mu.Lock()
	serial := g.rec.Epoch.Serial
	g.mu.Unlock()
	return g.d.cfg.Store.Update(ctx, func(tx *keystore.Tx) error {
		if err := tx.Delete(groupName(g.number)); err != nil {
			return err
		}
		return tx.Delete(sequenceName(g.number, serial))
	})
}

// drop gives up the current keying material: the device learned that it missed
// a rekeying. Nothing is protected or accepted until the next install.
func (g *Group) drop(ctx context.Context) error {
	g.mu.Lock()
	old := g.ctx
	g.ctx = nil
	g.rec.Stale = true
	g.rec.Epoch.Material = nil
	rec := g.rec
	g.mu.Unlock()
	if old != nil {
		g.d.contexts.RemoveGroup(old)
	}
	return g.save(ctx, rec, 0)
}

// topUp reserves the next block when half of the last one is used.
func (g *Group) topUp(ctx context.Context) error {
	g.mu.Lock()
	cx, serial := g.ctx, g.rec.Epoch.Serial
	g.mu.Unlock()
	if cx == nil {
		return nil
	}
	seq := cx.Current().Sequence()
	if seq == nil || !seq.NeedsReserve() {
		return nil
	}
	st := g.d.cfg.Store.Sequence(sequenceName(g.number, serial))
	if _, err := st.High(ctx); err != nil {
		return err
	}
	return seq.Reserve(ctx, st, g.d.cfg.SequenceBlock)
}

// listen makes the endpoint a member of the group's multicast address.
func (g *Group) listen(addr netip.AddrPort) error {
	if !addr.IsValid() {
		return nil
	}
	return g.d.ep.JoinGroup(endpoint.MulticastGroup{Addr: addr, Interface: g.d.cfg.Interface})
}
