package member

import (
	"context"
	"errors"
	"fmt"

	"github.com/cohort-iot/cohort/grouposcore"
	"github.com/cohort-iot/cohort/keystore"
	"github.com/cohort-iot/cohort/oscore"
)

// live is what an epoch is used with: all of it is replaced at once, so that
// numbers are never reserved for one epoch and taken in another.
type live struct {
	group *grouposcore.Group // the same one over rekeyings
	cx    *grouposcore.Context
	seq   *oscore.Sequence   // nil: a monitor
	store *keystore.SeqStore // of seq
	low   uint64             // how few numbers may be left before a new Sender ID is due

	renewal bool // only the own Sender ID differs from the epoch before
}

// numbersLeft is how many sequence numbers should be left when the device asks
// for a new Sender ID: enough for the time that takes, should the Group Manager
// be away (draft-ietf-core-oscore-groupcomm-28, Section 2.6.2).
const numbersLeft = 1 << 20

// tired reports whether a new Sender ID is due.
func (l *live) tired() bool { return l != nil && l.seq != nil && l.seq.Remaining() < l.low }

// first makes the first block of sequence numbers durable, together with
// whatever has to be with it. upTo is 0 for a monitor.
type first func(ctx context.Context, upTo uint64) error

// Reserve implements oscore.SequenceStore.
func (f first) Reserve(ctx context.Context, upTo uint64) error { return f(ctx, upTo) }

// identity returns who the device is in the epoch of a record; none for a
// monitor.
func (g *Group) identity(ctx context.Context, rec *groupRecord) (grouposcore.Identity, error) {
	if rec.Epoch.SenderID == nil {
		return grouposcore.Identity{}, nil
	}
	_, k, err := rec.Epoch.params()
	if err != nil {
		return grouposcore.Identity{}, err
	}
	crv, err := curveOf(k)
	if err != nil {
		return grouposcore.Identity{}, err
	}
	id, err := g.keyPair(ctx, rec, crv)
	if err != nil {
		return grouposcore.Identity{}, err
	}
	return grouposcore.Identity{SenderID: rec.Epoch.SenderID, Credential: id.cred, PrivateKey: id.key}, nil
}

// makeLive builds the Security Context of a record's epoch, which is not in use
// yet. renews is the context under the same Gid that it takes over the windows
// of, nil if there is none; lost says that windows under this Gid existed and
// are gone.
func (g *Group) makeLive(ctx context.Context, rec *groupRecord, renews *grouposcore.Context, lost bool, save first) (*live, error) {
	p, _, err := rec.Epoch.params()
	if err != nil {
		return nil, err
	}
	p.WindowsLost, p.Freshness = lost, g.d.cfg.Freshness
	id, err := g.identity(ctx, rec)
	if err != nil {
		return nil, err
	}
	if id.SenderID == nil && p.Freshness == grouposcore.RequireEcho {
		p.Freshness = grouposcore.Refuse // a monitor answers nobody, with an Echo option neither
	}
	l := &live{renewal: renews != nil}
	if id.SenderID != nil {
		name := sequenceName(g.number, rec.Epoch.Serial)
		high, err := g.d.cfg.Store.Sequence(name).High(ctx)
		if err != nil {
			return nil, err
		}
		l.seq = oscore.NewSequence(high)
	}
	if renews != nil {
		l.cx, err = renews.Renew(id, l.seq)
	} else {
		l.cx, err = grouposcore.NewContext(p, id, l.seq, g.dir)
	}
	if err != nil {
		return nil, fmt.Errorf("security context of group %s: %w", g.name, err)
	}
	if l.seq == nil {
		return l, save(ctx, 0)
	}
	l.low = min(numbersLeft, l.seq.Remaining()/16)
	if err := l.seq.Reserve(ctx, save, g.d.cfg.SequenceBlock); err != nil {
		return nil, err
	}
	l.store = g.d.cfg.Store.Sequence(sequenceName(g.number, rec.Epoch.Serial))
	_, err = l.store.High(ctx)
	return l, err
}

// topUp reserves the next block when half of the last one is used.
func (g *Group) topUp(ctx context.Context) error {
	if err := g.topping.take(ctx); err != nil {
		return err
	}
	defer g.topping.leave()
	l := g.using()
	if l == nil || l.seq == nil || !l.seq.NeedsReserve() {
		return nil
	}
	err := l.seq.Reserve(ctx, l.store, g.d.cfg.SequenceBlock)
	if errors.Is(err, oscore.ErrSequenceExhausted) || err != nil && g.using() != l {
		return nil // nothing is left, or the epoch ended meanwhile
	}
	return err
}
