package member

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"sort"
	"sync"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/grouposcore"
	"github.com/cohort-iot/cohort/keystore"
)

// maxPeers bounds the members of one group that a device knows; further ones
// are not stored and so not heard.
const maxPeers = 16384

// peersPerEffect keeps one write to the store within its limits.
const peersPerEffect = 32

// Peer is another member of a group.
type Peer struct {
	SenderID []byte
	Name     string         // the subject of its credential; says what the credential says, no more
	Roles    ace.Roles      // as the Group Manager gave them; 0 if it did not
	Addr     netip.AddrPort // where its latest verified message came from; invalid if none
}

type peer struct {
	id    []byte
	cred  *cose.Credential
	roles ace.Roles
	addr  netip.AddrPort
}

// directory knows the credentials of a group's members. It is the
// grouposcore.CredentialSource of the group's contexts, and safe for
// concurrent use.
type directory struct {
	mu    sync.RWMutex
	gid   []byte // of the current keying material
	prev  []byte // of the former one, nil if there is none
	stale map[string]bool
	byID  map[string]*peer
}

func newDirectory() *directory {
	return &directory{byID: map[string]*peer{}, stale: map[string]bool{}}
}

// Credential implements grouposcore.CredentialSource. Under the former Gid the
// members that became stale with it have no credential any more, even if
// another member has their Sender ID now.
func (d *directory) Credential(gid, id []byte) (*cose.Credential, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if !bytes.Equal(gid, d.gid) && (d.prev == nil || !bytes.Equal(gid, d.prev) || d.stale[string(id)]) {
		return nil, grouposcore.ErrNoCredential
	}
	p := d.byID[string(id)]
	if p == nil {
		return nil, grouposcore.ErrNoCredential
	}
	return p.cred, nil
}

// rekeyed notes a change of Gid and forgets the stale members.
func (d *directory) rekeyed(gid []byte, stale [][]byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if bytes.Equal(gid, d.gid) {
		return
	}
	d.prev, d.gid = d.gid, bytes.Clone(gid)
	d.stale = map[string]bool{}
	for _, id := range stale {
		d.stale[string(id)] = true
		delete(d.byID, string(id))
	}
}

// forgetAll empties the directory: it cannot be told who is stale.
func (d *directory) forgetAll() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.byID, d.prev = map[string]*peer{}, nil
}

func (d *directory) put(p *peer) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	old := d.byID[string(p.id)]
	if old == nil && len(d.byID) >= maxPeers {
		return false
	}
	if old != nil && old.cred.Equal(p.cred) {
		p.addr = old.addr
	}
	d.byID[string(p.id)] = p
	return true
}

// heard notes where a verified message of a member came from.
func (d *directory) heard(id []byte, addr netip.AddrPort) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if p := d.byID[string(id)]; p != nil {
		p.addr = addr
	}
}

func (p *peer) public() Peer {
	return Peer{SenderID: bytes.Clone(p.id), Name: p.cred.Subject(), Roles: p.roles, Addr: p.addr}
}

func (d *directory) find(match func(*peer) bool) (Peer, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	for _, p := range d.byID {
		if match(p) {
			return p.public(), true
		}
	}
	return Peer{}, false
}

func (d *directory) list() []Peer {
	d.mu.RLock()
	defer d.mu.RUnlock()
	l := make([]Peer, 0, len(d.byID))
	for _, p := range d.byID {
		l = append(l, p.public())
	}
	sort.Slice(l, func(i, j int) bool { return bytes.Compare(l[i].SenderID, l[j].SenderID) < 0 })
	return l
}

// loadPeers reads the members in the store into the directory.
func (g *Group) loadPeers() error {
	return g.d.cfg.Store.View(func(r keystore.Reader) error {
		return r.Scan(keystore.Key("peer", g.number), func(n keystore.Name, b []byte) error {
			var rec peerRecord
			if err := decode(n, b, &rec); err != nil {
				return err
			}
			cred, err := cose.ParseCredential(cose.FormatCCS, rec.Credential)
			if err != nil {
				return err
			}
			g.dir.put(&peer{id: rec.SenderID, cred: cred, roles: ace.Roles(rec.Roles)})
			return nil
		})
	})
}

// learn takes over members as the Group Manager gave them and stores them. One
// that cannot be used in the group is left out: it will not be heard.
func (g *Group) learn(ctx context.Context, list groupcomm.Peers, format cose.CredentialFormat) error {
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
		if g.dir.put(&peer{id: bytes.Clone(gp.SenderID), cred: cred, roles: gp.Roles}) {
			recs = append(recs, peerRecord{gp.SenderID, gp.Credential, uint64(gp.Roles)})
		}
	}
	for len(recs) > 0 {
		n := min(len(recs), peersPerEffect)
		part := recs[:n]
		recs = recs[n:]
		err := g.d.cfg.Store.Update(ctx, func(tx *keystore.Tx) error {
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

// deletePeers removes stored members; nil means all.
func (g *Group) deletePeers(ctx context.Context, ids [][]byte) error {
	var names []keystore.Name
	for _, id := range ids {
		if len(id) <= maxSenderID {
			names = append(names, peerName(g.number, id))
		}
	}
	if ids == nil {
		err := g.d.cfg.Store.View(func(r keystore.Reader) error {
			return r.Scan(keystore.Key("peer", g.number), func(n keystore.Name, _ []byte) error {
				names = append(names, n)
				return nil
			})
		})
		if err != nil {
			return err
		}
	}
	for len(names) > 0 {
		n := min(len(names), peersPerEffect)
		part := names[:n]
		names = names[n:]
		err := g.d.cfg.Store.Update(ctx, func(tx *keystore.Tx) error {
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
