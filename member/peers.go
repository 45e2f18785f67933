package member

import (
	"bytes"
	"context"
	"errors"
	"net/netip"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/keystore"
)

// peersPerEffect keeps one write to the store within its limits.
const peersPerEffect = 32

// maxStoredPeers bounds the members of a group that are stored, so that the
// store of a device stays small. Those beyond are asked for again after a start.
const maxStoredPeers = 2048

// loadPeers reads the members in the store into the directory.
func (g *Group) loadPeers() error {
	return g.d.cfg.Store.View(func(r keystore.Reader) error {
		return r.Scan(peersName(g.number), func(n keystore.Name, b []byte) error {
			var rec peerRecord
			if err := decode(n, b, &rec); err != nil {
				return err
			}
			cred, err := cose.ParseCredential(cose.FormatCCS, rec.Credential)
			if err != nil {
				return err
			}
			p := &peer{id: rec.SenderID, cred: cred, roles: ace.Roles(rec.Roles)}
			p.addr, _ = netip.ParseAddrPort(rec.Addr)
			p.saved = p.addr
			g.dir.put(p)
			return nil
		})
	})
}

// learn takes over members as the Group Manager gave them and stores them. One
// that cannot be used in the group is left out: it will not be heard. What
// cannot be stored is known until the device stops.
func (g *Group) learn(ctx context.Context, list groupcomm.Peers, format cose.CredentialFormat) {
	var recs []peerRecord
	for _, gp := range list {
		if len(gp.SenderID) > maxSenderID {
			continue
		}
		cred, err := cose.ParseCredential(format, gp.Credential)
		if err != nil {
			g.d.cfg.Log.Warn("credential of a member is unusable", "group", g.name, "sender", gp.SenderID, "err", err)
			continue
		}
		added, changed := g.dir.put(&peer{id: bytes.Clone(gp.SenderID), cred: cred, roles: gp.Roles})
		if l := g.using(); changed && l != nil {
			l.cx.RemoveRecipient(gp.SenderID) // its keys come from the former credential
		}
		if added && g.dir.len() <= maxStoredPeers {
			recs = append(recs, peerRecord{SenderID: gp.SenderID, Credential: gp.Credential, Roles: uint64(gp.Roles)})
		}
	}
	if err := g.storePeers(ctx, recs); err != nil {
		g.d.cfg.Log.Warn("members are not stored", "group", g.name, "err", err)
	}
}

// saveAddrs stores where members were heard last, at a clean stop.
func (g *Group) saveAddrs() error {
	if g.Err() != nil {
		return nil
	}
	var recs []peerRecord
	for _, p := range g.dir.moved() {
		recs = append(recs, peerRecord{SenderID: p.id, Credential: p.cred.Bytes(), Roles: uint64(p.roles), Addr: p.addr.String()})
	}
	return g.storePeers(context.Background(), recs[:min(len(recs), maxStoredPeers)])
}

func (g *Group) storePeers(ctx context.Context, recs []peerRecord) error {
	for len(recs) > 0 {
		n := min(len(recs), peersPerEffect)
		part := recs[:n]
		recs = recs[n:]
		err := g.d.cfg.Store.Update(ctx, func(tx *keystore.Tx) error {
			if err := g.Err(); err != nil {
				return err
			}
			for _, r := range part {
				b, err := encode(r)
				if err != nil {
					return err
				}
				if err := tx.Put(peerName(g.number, r.SenderID), b); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// deletePeers removes stored members.
func (g *Group) deletePeers(ctx context.Context, ids [][]byte) error {
	var names []keystore.Name
	for _, id := range ids {
		if len(id) <= maxSenderID {
			names = append(names, peerName(g.number, id))
		}
	}
	return g.d.deleteRecords(ctx, names)
}

// deleteAllPeers removes all stored members of the group.
func (g *Group) deleteAllPeers(ctx context.Context) error {
	names, err := g.d.peerNames(peersName(g.number))
	if err != nil {
		return err
	}
	return g.d.deleteRecords(ctx, names)
}

// sweepPeers removes members of groups that are no more: the end of a
// membership was interrupted.
func (d *Device) sweepPeers(ctx context.Context, exists func(group uint64) bool) error {
	names, err := d.peerNames(allPeersName())
	if err != nil {
		return err
	}
	var orphans []keystore.Name
	for _, n := range names {
		if !exists(n.ID(0)) {
			orphans = append(orphans, n)
		}
	}
	return d.deleteRecords(ctx, orphans)
}

func (d *Device) peerNames(prefix keystore.Name) (names []keystore.Name, err error) {
	err = d.cfg.Store.View(func(r keystore.Reader) error {
		return r.Scan(prefix, func(n keystore.Name, _ []byte) error {
			names = append(names, n)
			return nil
		})
	})
	return names, err
}

func (d *Device) deleteRecords(ctx context.Context, names []keystore.Name) error {
	for len(names) > 0 {
		n := min(len(names), peersPerEffect)
		part := names[:n]
		names = names[n:]
		err := d.cfg.Store.Update(ctx, func(tx *keystore.Tx) error {
			var errs []error
			for _, n := range part {
				errs = append(errs, tx.Delete(n))
			}
			return errors.Join(errs...)
		})
		if err != nil {
			return err
		}
	}
	return nil
}
