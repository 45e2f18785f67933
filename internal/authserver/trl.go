package authserver

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/ace/trl"
	"github.com/cohort-iot/cohort/keystore"
)

// TRL answers a query of the list of revoked tokens that a peer makes with the given Uri-Query options (RFC 9770): it gets what
// pertains to it, an administrator everything. An error that is a [*trl.Problem] is the answer to a query that cannot be; one that
// is an [*ace.Error] that to a peer who asks too often; [ErrNotFound] and [ErrDisabled] say that the peer may not ask at all.
func (s *Service) TRL(_ context.Context, p Peer, options []string) (*trl.Response, error) {
	if err := s.queryAllowed(p); err != nil {
		return nil, err
	}
	return s.queryTRL(p, options)
}

// Notification answers the query that an observer made once more, after the list has changed for it.
func (s *Service) Notification(_ context.Context, p Peer, options []string) (*trl.Response, error) {
	return s.queryTRL(p, options)
}

func (s *Service) queryTRL(p Peer, options []string) (*trl.Response, error) {
	var resp *trl.Response
	err := s.store.View(func(r keystore.Reader) error {
		who, err := loadPeer(r, p)
		if err != nil {
			return err
		}
		resp, err = trl.Answer(s.list, options, &listView{r: r, peer: p, whole: who.administrator})
		return err
	})
	if err != nil {
		return nil, err
	}
	s.cfg.Meter.ListQueried(resp.Diff != nil)
	return resp, nil
}

func (s *Service) queryAllowed(p Peer) error {
	retry, ok := s.queryLimit.Allow(p)
	if !ok {
		return &ace.Error{Code: codeTooManyRequests, Description: "too many queries", RetryAfter: retry}
	}
	return nil
}

// listView is what one requester may see of the list.
type listView struct {
	r     keystore.Reader
	peer  Peer
	whole bool
}

// Full implements [trl.Source].
func (v *listView) Full() ([]ace.TokenHash, error) {
	if v.peer.Kind == PeerClient && !v.whole {
		return v.ofClient()
	}
	pertains, err := v.pertaining()
	if err != nil {
		return nil, err
	}
	var list []ace.TokenHash
	err = v.r.Scan(nameWholeTRL(), func(n keystore.Name, b []byte) error {
		t, err := decode[trlRecord](n, b)
		if err == nil && pertains(t.RS) {
			list = append(list, ace.TokenHash(t.Hash))
		}
		return err
	})
	return list, err
}

// ofClient looks through the tokens of one client rather than through the whole list.
func (v *listView) ofClient() ([]ace.TokenHash, error) {
	var list []ace.TokenHash
	err := v.r.Scan(nameTokensOf(v.peer.Number), func(n keystore.Name, _ []byte) error {
		t, err := load[trlRecord](v.r, nameTRL(n.ID(1)))
		if errors.Is(err, keystore.ErrNotFound) {
			return nil
		}
		if err == nil {
			list = append(list, ace.TokenHash(t.Hash))
		}
		return err
	})
	return list, err
}

// pertaining says of which resource servers and audiences the requester sees the tokens.
func (v *listView) pertaining() (func(rs uint64) bool, error) {
	if v.whole {
		return func(uint64) bool { return true }, nil
	}
	of := map[uint64]bool{v.peer.Number: true}
	err := v.r.Scan(nameAllRS(), func(n keystore.Name, b []byte) error {
		rs, err := decode[rsRecord](n, b)
		if err == nil && slices.Contains(rs.Members, v.peer.Number) {
			of[rs.Number] = true
		}
		return err
	})
	return func(rs uint64) bool { return of[rs] }, err
}

// Collection implements [trl.Source].
func (v *listView) Collection() (*trl.Collection, error) {
	head, err := loadOr(v.r, nameTRLHead(v.peer), trlHead{})
	if err != nil {
		return nil, err
	}
	c := &trl.Collection{Added: head.Added}
	err = v.r.Scan(nameTRLUpdates(v.peer), func(n keystore.Name, b []byte) error {
		u, err := decode[trlUpdate](n, b)
		if err == nil && n.ID(2) >= head.First && n.ID(2) < head.Added {
			c.Entries = append(c.Entries, trl.Entry{Removed: hashes(u.Removed), Added: hashes(u.Added)})
		}
		return err
	})
	return c, err
}

func hashes(list [][]byte) []ace.TokenHash {
	out := make([]ace.TokenHash, len(list))
	for i, h := range list {
		out[i] = ace.TokenHash(h)
	}
	return out
}

// listUpdate collects one update of the list: what it changes for each requester. Each gets one entry in its series (RFC 9770,
// Sections 5.1 and 6.2).
type listUpdate struct {
	s       *Service
	tx      *keystore.Tx
	admins  []uint64
	members map[uint64][]uint64 // requesters of each resource server or audience met
	order   []Peer
	entries map[Peer]*trlUpdate
	records int // written so far, besides the entries
}

func (s *Service) newListUpdate(tx *keystore.Tx) (*listUpdate, error) {
	admins, err := loadAdmins(tx)
	if err != nil {
		return nil, err
	}
	return &listUpdate{s: s, tx: tx, admins: admins.Numbers, members: make(map[uint64][]uint64), entries: make(map[Peer]*trlUpdate)}, nil
}

// requesters returns to whom a token pertains.
func (u *listUpdate) requesters(t *tokenRecord) ([]Peer, error) {
	members, known := u.members[t.RS]
	if !known {
		rs, err := load[rsRecord](u.tx, nameRS(t.RS))
		switch {
		case errors.Is(err, keystore.ErrNotFound):
		case err != nil:
			return nil, err
		case rs.isGroup():
			members = rs.Members
		default:
			members = []uint64{t.RS}
		}
		u.members[t.RS] = members
	}
	list := []Peer{{PeerClient, t.Client}}
	for _, m := range members {
		list = append(list, Peer{PeerRS, m})
	}
	for _, a := range u.admins {
		if a != t.Client {
			list = append(list, Peer{PeerClient, a})
		}
	}
	return list, nil
}

// recordsOfEntry is what an entry writes: itself, the head of its series, and the oldest entry, which goes.
const recordsOfEntry = 3

// cost returns how many records the transaction writes if it takes in a token too, with extra records of the caller.
func (u *listUpdate) cost(t *tokenRecord, extra int) (int, error) {
	list, err := u.requesters(t)
	entries := len(u.entries)
	for _, p := range list {
		if u.entries[p] == nil {
			entries++
		}
	}
	if !u.s.list.Diff {
		entries = 0
	}
	return u.records + extra + entries*recordsOfEntry, err
}

// add takes a token on the list, or off it.
func (u *listUpdate) add(t *tokenRecord, on bool, extra int) error {
	list, err := u.requesters(t)
	if err != nil {
		return err
	}
	for _, p := range list {
		e := u.entries[p]
		if e == nil {
			e = &trlUpdate{}
			u.entries[p] = e
			u.order = append(u.order, p)
		}
		if on {
			e.Added = append(e.Added, t.Hash)
		} else {
			e.Removed = append(e.Removed, t.Hash)
		}
	}
	u.records += extra
	if on {
		return put(u.tx, nameTRL(t.Number), trlRecord{Schema: schema, Hash: t.Hash, Client: t.Client, RS: t.RS})
	}
	return u.tx.Delete(nameTRL(t.Number))
}

// write adds the entries to the series, and returns whose they are.
func (u *listUpdate) write() ([]Peer, error) {
	if !u.s.list.Diff {
		return u.order, nil
	}
	for _, p := range u.order {
		head, err := loadOr(u.tx, nameTRLHead(p), trlHead{Schema: schema})
		if err != nil {
			return nil, err
		}
		if err := put(u.tx, nameTRLUpdate(p, head.Added), u.entries[p]); err != nil {
			return nil, err
		}
		head.Added++
		if head.Added-head.First > uint64(u.s.list.MaxN) { // one more than before: if MAX_N was made smaller, the answer cuts
			if err := u.tx.Delete(nameTRLUpdate(p, head.First)); err != nil {
				return nil, err
			}
			head.First++
		}
		if err := put(u.tx, nameTRLHead(p), head); err != nil {
			return nil, err
		}
	}
	return u.order, nil
}

// changed tells those for whom the list has changed.
func (s *Service) changed(list []Peer) {
	if len(list) > 0 {
		s.cfg.ListChanged(list)
	}
}

// Pertains says whether a requester is told of the revocation of a token: for tests of adapters and for the operator.
func (s *Service) Pertains(p Peer, h ace.TokenHash) (yes bool, err error) {
	err = s.store.View(func(r keystore.Reader) error {
		who, err := loadPeer(r, p)
		if err != nil {
			return err
		}
		t, err := s.tokenHashed(r, h)
		if err != nil {
			return err
		}
		if p.Kind == PeerClient {
			yes = who.administrator || t.Client == p.Number
			return nil
		}
		pertains, err := (&listView{r: r, peer: p}).pertaining()
		if err == nil {
			yes = pertains(t.RS)
		}
		return err
	})
	if err != nil {
		return false, fmt.Errorf("%v: %w", p, err)
	}
	return yes, nil
}
