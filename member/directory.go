package member

import (
	"bytes"
	"net/netip"
	"sort"
	"sync"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/grouposcore"
)

// maxPeers bounds the members of one group that a device knows; further ones
// are not stored and so not heard.
const maxPeers = 16384

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
	saved netip.AddrPort // addr as it is stored
	order uint64         // of its first put; later ones are greater
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
	puts  uint64
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
	// Before the first epoch is in use, windows of a clean stop are restored.
	known := d.gid == nil || bytes.Equal(gid, d.gid) || d.prev != nil && bytes.Equal(gid, d.prev) && !d.stale[string(id)]
	p := d.byID[string(id)]
	if !known || p == nil {
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

// put adds a member, and reports whether there was room and whether it has
// another credential than before.
func (d *directory) put(p *peer) (added, changed bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	old := d.byID[string(p.id)]
	if old == nil && len(d.byID) >= maxPeers {
		return false, false
	}
	if old != nil {
		changed = !old.cred.Equal(p.cred)
		if !changed {
			p.addr, p.saved = old.addr, old.saved
		}
		p.order = old.order
	} else {
		d.puts++
		p.order = d.puts
	}
	d.byID[string(p.id)] = p
	return true, changed
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

// get returns the member with a Sender ID.
func (d *directory) get(id []byte) (Peer, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	p := d.byID[string(id)]
	if p == nil {
		return Peer{}, false
	}
	return p.public(), true
}

// roles returns those of a member, 0 if they are not known.
func (d *directory) roles(id []byte) ace.Roles {
	p, _ := d.get(id)
	return p.Roles
}

// find returns the member of a name, if several have it that which was learned of
// last: a member has a new Sender ID after it lost its state, and the former one
// is in the directory until the next rekeying. Until it is heard it is looked for
// where it was before.
func (d *directory) find(name string) (Peer, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	var last, heard *peer
	for _, p := range d.byID {
		if p.cred.Subject() != name {
			continue
		}
		if last == nil || last.order < p.order {
			last = p
		}
		if p.addr.IsValid() && (heard == nil || heard.order < p.order) {
			heard = p
		}
	}
	if last == nil {
		return Peer{}, false
	}
	found := last.public()
	if heard != nil {
		found.Addr = heard.addr
	}
	return found, true
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

// moved returns the members whose address is not the stored one, and takes it as
// stored.
func (d *directory) moved() (l []peer) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, p := range d.byID {
		if p.addr.IsValid() && p.addr != p.saved {
			p.saved = p.addr
			l = append(l, *p)
		}
	}
	return l
}

func (d *directory) len() int {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return len(d.byID)
}
