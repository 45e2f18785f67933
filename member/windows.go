package member

import (
	"context"
	"errors"

	"github.com/cohort-iot/cohort/keystore"
)

// saveWindows stores the Replay Windows at a clean stop, after the last message
// was taken, so that the next start can go on without new keys
// (draft-ietf-core-oscore-groupcomm-28, Section 14.18). A member that takes no
// requests has no use for them.
func (g *Group) saveWindows() error {
	rec, l := g.record(), g.using()
	if l == nil || !rec.serves() || g.Err() != nil {
		return nil
	}
	b, err := l.cx.StopWindows()
	if err != nil {
		return err
	}
	b, err = encode(windowsRecord{Serial: rec.Epoch.Serial, Windows: b})
	if err != nil || len(b) > keystore.MaxValue {
		return err // too many members to be worth it
	}
	return g.d.cfg.Store.Update(context.Background(), func(tx *keystore.Tx) error {
		if l.seq == nil {
			// A monitor has no sequence numbers that would show a store that was
			// set back; its windows must not come back with one. Marks of earlier
			// epochs are of no use.
			mark := sequenceName(g.number, rec.Epoch.Serial)
			if err := errors.Join(g.deleteSequences(tx), tx.ReserveSequence(mark, 1)); err != nil {
				return err
			}
		}
		return tx.Put(windowsName(g.number), b)
	})
}

// takeWindows takes the saved windows of the group's epoch out of the store;
// nil if there are none. They must not be there any more when the first message
// is taken: after a crash they would be those of too early a time.
func (g *Group) takeWindows(ctx context.Context) ([]byte, error) {
	name := windowsName(g.number)
	var w windowsRecord
	err := g.d.cfg.Store.View(func(r keystore.Reader) error {
		b, err := r.Get(name)
		if err != nil {
			return err
		}
		return decode(name, b, &w)
	})
	if errors.Is(err, keystore.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	err = g.d.cfg.Store.Update(ctx, func(tx *keystore.Tx) error { return tx.Delete(name) })
	if err != nil || w.Serial != g.record().Epoch.Serial {
		return nil, err
	}
	return w.Windows, nil
}
