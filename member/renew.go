package member

import (
	"bytes"
	"context"
	"fmt"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/grouposcore"
)

// renewSenderID asks for new individual keying material: a new Sender ID, or a
// rekeying message if the Group Manager rather rekeys (ace-key-groupcomm-oscore,
// Section 9.2). It is for a device that lost its windows, or that is about to
// spend its last sequence number, or has a new key pair: the Group Manager is told
// of that first. The caller has the turn to change the group.
func (g *Group) renewSenderID(ctx context.Context) error {
	if next := g.record().Next; next != nil {
		if err := g.uploadCredential(ctx, next); err != nil {
			return err
		}
	}
	if err := g.askSenderID(ctx); err != nil {
		return err
	}
	if g.record().Next == nil {
		return nil
	}
	// Keys that had been missed came first, with the Sender ID under which the
	// others know the former credential.
	return g.askSenderID(ctx)
}

// askSenderID asks once, and takes what the Group Manager answers into use.
func (g *Group) askSenderID(ctx context.Context) error {
	r, err := g.d.manager(ctx, gmRequest{op: "new sender id", code: codes.POST, path: g.record().Node})
	if err != nil {
		return err
	}
	n, err := groupcomm.ParseRenewal(r.Payload)
	if err != nil {
		return err
	}
	rec := g.record()
	if n.Rekey != nil && n.Rekey.Version == rec.Epoch.Version+1 {
		return g.take(ctx, n.Rekey, (*groupRecord).takeUp)
	}
	if n.Rekey == nil {
		// The answer does not say for which version it is. Under the keys of an
		// earlier one somebody else may have had that Sender ID.
		k, err := g.fetchMaterial(ctx)
		if err != nil {
			return err
		}
		if k.Version == rec.Epoch.Version && bytes.Equal(k.Key.SenderID, n.SenderID.SenderID) {
			return g.useSenderID(ctx, k.Key.SenderID, (*groupRecord).adopt)
		}
	}
	// A rekeying was missed: who left then is not in the message.
	rec.takeUp()
	if err := g.saveRecord(ctx, rec); err != nil {
		return err
	}
	return g.recover(ctx)
}

// useSenderID goes on under another Sender ID and the same keying material. edit
// changes the rest of the record in the same effect. The caller has the turn to
// change the group.
func (g *Group) useSenderID(ctx context.Context, id []byte, edit func(*groupRecord)) error {
	rec := g.record()
	switch {
	case len(id) > maxSenderID:
		return fmt.Errorf("%w: sender id of %d bytes", ErrManager, len(id))
	case contains(rec.SpentIDs, id):
		return fmt.Errorf("%w: it gave a sender id that the device had before under these keys", ErrManager)
	}
	_, k, err := rec.Epoch.params()
	if err != nil {
		return err
	}
	k.SenderID = id
	rec.Epoch.Material, rec.Epoch.SenderID = k.Marshal(), id
	rec.Epoch.Serial++
	rec.SpentIDs = remember(rec.SpentIDs, id)
	edit(&rec)
	// A device at work keeps its windows. One that lost them still has the same
	// Gid, so requests from before the loss could be replayed: its windows start
	// invalid, and Echo is the way back.
	var renews *grouposcore.Context
	if l := g.using(); l != nil {
		renews = l.cx
	}
	l, err := g.makeLive(ctx, &rec, renews, renews == nil, func(ctx context.Context, upTo uint64) error {
		return g.save(ctx, rec, upTo)
	})
	if err != nil {
		return err
	}
	if err := g.use(rec, l, nil); err != nil {
		return err
	}
	g.event(EventNewID)
	return nil
}
