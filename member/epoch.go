package member

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/grouposcore"
	"github.com/cohort-iot/cohort/keystore"
)

// newEpoch is keying material on its way to being installed.
type newEpoch struct {
	version uint64
	key     groupcomm.KeyMaterial // complete, with the own Sender ID unless a monitor
	gmCred  []byte
	expires time.Time
	lost    bool // the device was a member under this Gid before, and lost its windows
}

// check refuses what cannot be right, whoever gave it.
func (e *newEpoch) check(rec *groupRecord) error {
	switch {
	case (e.key.SenderID == nil) != rec.roles().MonitorOnly():
		return fmt.Errorf("%w: sender id does not fit the roles %v", ErrManager, rec.roles())
	case len(e.key.SenderID) > maxSenderID:
		return fmt.Errorf("%w: sender id of %d bytes", ErrManager, len(e.key.SenderID))
	case contains(rec.Spent, markOf(e.key)):
		return fmt.Errorf("%w: it gave keying material that was in use before", ErrManager)
	}
	return nil
}

// install makes an epoch the current one: first the members that went with the
// epoch before are forgotten, then it is durable together with its first block
// of sequence numbers, then used. edit, if not nil, changes the rest of the
// record in the same effect. The caller has the turn to change the group.
func (g *Group) install(ctx context.Context, e newEpoch, stale [][]byte, edit func(*groupRecord)) error {
	rec := g.record()
	if err := e.check(&rec); err != nil {
		return err
	}
	rec.Epoch = epochRecord{
		Version: e.version, Material: e.key.Marshal(), SenderID: e.key.SenderID,
		GMCred: e.gmCred, Expires: e.expires.Unix(), Serial: rec.Epoch.Serial + 1,
	}
	rec.Stale = false
	rec.Spent, rec.SpentIDs = remember(rec.Spent, markOf(e.key)), nil
	if e.key.SenderID != nil {
		rec.SpentIDs = [][]byte{e.key.SenderID}
	}
	if edit != nil {
		edit(&rec)
	}
	if rec.Curve != 0 && e.key.SenderID != nil {
		if crv, err := curveOf(e.key); err != nil || crv != rec.Curve {
			return fmt.Errorf("%w: credentials are on another curve than the device's: it has to leave the group and join again", ErrManager)
		}
	}
	if len(stale) > 0 {
		if err := g.deletePeers(ctx, stale); err != nil {
			return err
		}
	}
	l, err := g.makeLive(ctx, &rec, nil, e.lost, func(ctx context.Context, upTo uint64) error {
		return g.save(ctx, rec, upTo)
	})
	if err != nil {
		return err
	}
	return g.use(rec, l, stale)
}

// use switches to an epoch whose record is durable. An end of the membership
// meanwhile goes first.
func (g *Group) use(rec groupRecord, l *live, stale [][]byte) error {
	if err := g.swap(rec, l, stale); err != nil {
		return err
	}
	g.unpark()
	return nil
}

func (g *Group) swap(rec groupRecord, l *live, stale [][]byte) error {
	now := g.d.now()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ended != nil {
		return g.ended
	}
	switch old := g.live; {
	case old == nil:
		l.group = grouposcore.NewGroup(l.cx)
		g.dir.rekeyed(l.cx.Gid(), stale)
		g.d.contexts.AddGroup(l.group, endpoint.GroupOptions{Association: g, ResponseMode: g.answerMode})
	case l.renewal:
		l.group = old.group
		if err := l.group.Renew(l.cx); err != nil {
			return err
		}
	default:
		l.group = old.group
		l.group.PurgeStale(stale)
		g.dir.rekeyed(l.cx.Gid(), stale)
		l.group.Install(l.cx, g.d.cfg.KeepOld, now)
		g.oldUntil = now.Add(g.d.cfg.KeepOld)
	}
	g.rec, g.live, g.lapsed, g.suspended = &rec, l, false, false
	g.expires = rec.expires(now)
	g.wake()
	return nil
}

// answerMode says how to protect the answer to a group member's request.
func (g *Group) answerMode(p endpoint.Peer) endpoint.Mode {
	if p.Mode == endpoint.GroupMode && !g.d.cfg.PairwiseAnswers {
		return endpoint.GroupMode
	}
	if l := g.using(); l != nil && l.cx.Supports(grouposcore.PairwiseMode) {
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
		if err := errors.Join(tx.Put(groupName(g.number), b), tx.Delete(windowsName(g.number))); err != nil {
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

// delete removes everything of the group: its keys first, in one effect.
func (g *Group) delete(ctx context.Context) error {
	err := g.d.cfg.Store.Update(ctx, func(tx *keystore.Tx) error {
		return errors.Join(tx.Delete(groupName(g.number)), tx.Delete(windowsName(g.number)), g.deleteSequences(tx))
	})
	return errors.Join(err, g.deleteAllPeers(ctx))
}

// deleteSequences removes what is stored of sequence numbers, of every epoch.
func (g *Group) deleteSequences(tx *keystore.Tx) error {
	var names []keystore.Name
	err := tx.Scan(sequencesName(g.number), func(n keystore.Name, _ []byte) error {
		names = append(names, n)
		return nil
	})
	for _, n := range names {
		err = errors.Join(err, tx.Delete(n))
	}
	return err
}

// drop gives up the current keying material: the device learned that it missed
// a rekeying. Nothing is protected or accepted until the next install.
func (g *Group) drop(ctx context.Context) error {
	rec := g.record()
	if rec.Stale {
		return nil
	}
	rec.Stale, rec.Epoch.Material = true, nil
	g.mu.Lock()
	g.rec = &rec
	g.mu.Unlock()
	g.recheck() // until it succeeds, whoever began
	g.retire()
	return g.save(ctx, rec, 0)
}

// retire takes the epoch out of use; its contexts process nothing any more.
func (g *Group) retire() {
	g.mu.Lock()
	l := g.live
	g.live, g.oldUntil = nil, time.Time{}
	g.mu.Unlock()
	if l != nil {
		g.d.contexts.RemoveGroup(l.group)
		l.group.Leave()
	}
}
