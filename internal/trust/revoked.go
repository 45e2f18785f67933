package trust

import (
	"context"
	"errors"
	"time"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/ace/trl"
	"github.com/cohort-iot/cohort/keystore"
)

// seenTokens remembers the latest tokens that were presented, bounded.
type seenTokens struct {
	byHash map[ace.TokenHash]ace.SeenToken
	ring   []ace.TokenHash
	next   int
}

// maxSeen bounds the tokens remembered in memory; of others nothing more is known than that they may have been seen, so that
// their hashes are kept for longer.
const maxSeen = 1 << 14

func newSeenTokens() seenTokens {
	return seenTokens{byHash: make(map[ace.TokenHash]ace.SeenToken)}
}

func (t *seenTokens) add(v ace.SeenToken) (first bool) {
	_, known := t.byHash[v.Hash]
	if !known {
		if len(t.ring) < maxSeen {
			t.ring = append(t.ring, v.Hash)
		} else {
			delete(t.byHash, t.ring[t.next])
			t.ring[t.next] = v.Hash
			t.next = (t.next + 1) % maxSeen
		}
	}
	t.byHash[v.Hash] = v
	return !known
}

// Revoked says whether a token was revoked. It serves as Revoked of [ace.RSConfig].
func (s *Service) Revoked(h ace.TokenHash) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.hashes[h]
	return ok
}

// Seen notes that a token was presented. It serves as Seen of [ace.RSConfig] and does not block: what it means for a hash is written
// at the next occasion. That comes at once when a revoked token is seen for the first time, and when one was stored: its revocation
// was learned, and found nothing to end, just before. A stranger who repeats one causes nothing.
func (s *Service) Seen(v ace.SeenToken) {
	s.mu.Lock()
	first := s.seen.add(v)
	_, revoked := s.hashes[v.Hash]
	if revoked && v.Stored {
		s.stored[v.Hash] = true
	}
	s.mu.Unlock()
	if revoked && (first || v.Stored) {
		select {
		case s.owed <- struct{}{}:
		default:
		}
	}
}

// mustEnd says whether a token is to be ended again: it was stored since, or it is not known of this process that it was not.
func (s *Service) mustEnd(h ace.TokenHash, number uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	again := s.stored[h] || number <= s.unsure
	delete(s.stored, h)
	return again
}

// learn takes in what an Authorization Server says of its list: new hashes are stored, and then their tokens ended. known is the
// number of the newest hash when it was asked: that the answer does not name a later one means nothing.
func (s *Service) learn(ctx context.Context, issuer string, n trl.News, known uint64) error {
	s.working.Lock()
	defer s.working.Unlock()
	for _, h := range n.Revoked {
		if !s.Revoked(h) {
			if err := s.remember(ctx, issuer, h); err != nil {
				return err
			}
		}
	}
	on := make(map[ace.TokenHash]bool, len(n.Revoked))
	for _, h := range n.Revoked {
		on[h] = true
	}
	off := make(map[ace.TokenHash]bool, len(n.Expired))
	for _, h := range n.Expired {
		off[h] = true
	}
	return s.review(ctx, func(number uint64, r *hashRecord) {
		if h := ace.TokenHash(r.Hash); r.Issuer == issuer && (off[h] || n.Whole && number <= known && !on[h]) {
			r.Off = true
		}
	})
}

// Learn takes in one revocation of an Authorization Server that tells it directly, such as one in this process. One that is known
// already costs nothing.
func (s *Service) Learn(ctx context.Context, issuer string, h ace.TokenHash) error {
	if s.Revoked(h) {
		return nil
	}
	return s.learn(ctx, issuer, trl.News{Revoked: []ace.TokenHash{h}}, 0)
}

// remember stores a hash; if there are too many the earliest go (RFC 9770, Section 11.1).
func (s *Service) remember(ctx context.Context, issuer string, h ace.TokenHash) error {
	var number, earliest uint64
	var gone *hashRecord
	err := s.store.Update(ctx, func(tx *keystore.Tx) error {
		n, err := loadCounters(tx)
		if err != nil {
			return err
		}
		n.Hash++
		number = n.Hash
		rec := &hashRecord{Schema: schema, Hash: h[:], Issuer: issuer, Learned: s.cfg.Clock.Now().Unix()}
		if gone, earliest, err = s.makeRoom(tx); err != nil {
			return err
		}
		return errors.Join(put(tx, nameCounters(), n), put(tx, nameHash(number), rec), s.audit(ctx, tx, auditEvent{
			Event: "revocation.learned", Issuer: issuer, Token: h.String(),
		}))
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.hashes[h], s.newest = number, number
	s.mu.Unlock()
	if gone != nil {
		s.drop(gone, earliest)
	}
	return nil
}

// makeRoom deletes the earliest hash if there is no room for another.
func (s *Service) makeRoom(tx *keystore.Tx) (gone *hashRecord, number uint64, err error) {
	s.mu.Lock()
	full := len(s.hashes) >= s.cfg.MaxHashes
	s.mu.Unlock()
	if !full {
		return nil, 0, nil
	}
	err = tx.Scan(nameHashes(), func(n keystore.Name, b []byte) error {
		gone, err = decode[hashRecord](n, b)
		number = n.ID(0)
		if err != nil {
			return err
		}
		return keystore.ErrStop
	})
	if err != nil || gone == nil {
		return nil, 0, err
	}
	s.complete(gone)
	return gone, number, tx.Delete(nameHash(number))
}

// drop forgets a hash whose record is gone. The number of a token with exi counts as expired from then on.
func (s *Service) drop(r *hashRecord, number uint64) {
	s.mu.Lock()
	if s.hashes[ace.TokenHash(r.Hash)] == number {
		delete(s.hashes, ace.TokenHash(r.Hash))
	}
	s.mu.Unlock()
	if t := s.exiTable(); t != nil && r.Number != 0 {
		t.Raise(r.Issuer, r.Number)
	}
}

// complete adds to a record what is known of the token by having seen it.
func (s *Service) complete(r *hashRecord) {
	s.mu.Lock()
	v, ok := s.seen.byHash[ace.TokenHash(r.Hash)]
	s.mu.Unlock()
	if ok {
		r.Seen = true
		if !v.Expires.IsZero() {
			r.Expires = v.Expires.Unix()
		}
		if v.Number != 0 {
			r.Number = v.Number
		}
	}
	if t := s.exiTable(); t != nil && r.Number == 0 {
		if n, ok := t.Number(r.Issuer, ace.TokenHash(r.Hash)); ok {
			r.Number, r.Seen = n, true
		}
	}
}

// expired says whether it is known that the token has expired.
func (r *hashRecord) expired(now time.Time) bool {
	return r.Off || r.Expires != 0 && now.Unix() >= r.Expires
}

// review goes through all hashes: change says what is new of each; tokens that have not ended here end; hashes of tokens that were
// seen and have expired go.
func (s *Service) review(ctx context.Context, change func(number uint64, r *hashRecord)) error {
	type numbered struct {
		*hashRecord
		number uint64
	}
	var all []numbered
	err := s.store.View(func(r keystore.Reader) error {
		return r.Scan(nameHashes(), func(n keystore.Name, b []byte) error {
			h, err := decode[hashRecord](n, b)
			all = append(all, numbered{h, n.ID(0)})
			return err
		})
	})
	if err != nil {
		return err
	}
	now := s.cfg.Clock.Now()
	var faults []error
	for _, r := range all {
		before := *r.hashRecord
		change(r.number, r.hashRecord)
		s.complete(r.hashRecord) // the number is with the hash before anything is deleted
		if h := ace.TokenHash(r.Hash); s.mustEnd(h, r.number) || !r.Ended {
			if _, err := s.cfg.Effect.RevokeToken(ctx, h); err != nil {
				s.mu.Lock()
				s.stored[h] = true
				s.mu.Unlock()
				faults = append(faults, err)
				continue
			}
			r.Ended = true
		}
		over := r.Seen && r.expired(now)
		if !over && before.Ended == r.Ended && before.Off == r.Off && before.Seen == r.Seen && before.Number == r.Number && before.Expires == r.Expires {
			continue
		}
		err := s.store.Update(ctx, func(tx *keystore.Tx) error {
			if over {
				return errors.Join(tx.Delete(nameHash(r.number)), s.audit(ctx, tx, auditEvent{
					Event: "revocation.forgotten", Issuer: r.Issuer, Token: ace.TokenHash(r.Hash).String(), Detail: "seen and expired",
				}))
			}
			return put(tx, nameHash(r.number), r.hashRecord)
		})
		if err != nil {
			faults = append(faults, err)
			continue
		}
		if over {
			s.drop(r.hashRecord, r.number)
		}
	}
	s.mu.Lock()
	s.unsure = 0 // all were ended, or are noted
	s.mu.Unlock()
	return errors.Join(faults...)
}

// Review ends the tokens whose revocation is known and whose end failed before, and forgets hashes that are not needed any more.
func (s *Service) Review(ctx context.Context) error {
	s.working.Lock()
	defer s.working.Unlock()
	return s.review(ctx, func(uint64, *hashRecord) {})
}
