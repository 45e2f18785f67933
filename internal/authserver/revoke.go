package authserver

import (
	"context"
	"errors"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/keystore"
)

// RevokeClient ends a client: it is given no token any more, and those it has are revoked. The client's end is one transaction;
// its tokens follow in steps, and a call that was interrupted is made good by calling again.
func (s *Service) RevokeClient(ctx context.Context, name, cause string) error {
	var c *clientRecord
	err := s.store.Update(ctx, func(tx *keystore.Tx) (err error) {
		if c, err = s.clientNamed(tx, name); err != nil || c.Revoked != 0 {
			return err
		}
		c.Revoked = s.now().Unix()
		if err := errors.Join(put(tx, nameClient(c.Number), c), s.setAdministrator(tx, c.Number, false)); err != nil {
			return err
		}
		return s.audit(ctx, tx, auditEvent{Event: "client.revoked", Client: name, Cause: cause})
	})
	if err != nil {
		return err
	}
	s.forget(c.peer())
	return s.revokeAll(ctx, c.Number, cause)
}

// RevokeTokens ends all tokens of a client before their time; it may ask for new ones. It follows a new secret when the old one
// was copied: whoever has the copy may have got tokens with it. Errors wrap [ErrNotFound].
func (s *Service) RevokeTokens(ctx context.Context, name, cause string) error {
	c, err := s.Client(name)
	if err != nil {
		return err
	}
	return s.revokeAll(ctx, c.Number, cause)
}

func (s *Service) revokeAll(ctx context.Context, client uint64, cause string) error {
	for after := uint64(0); ; {
		last, hashes, err := s.revokeSome(ctx, client, after, cause)
		if err != nil {
			return err
		}
		for _, h := range hashes {
			s.cfg.Events.TokenRevoked(h)
		}
		if last == 0 {
			return nil
		}
		after = last
	}
}

// recordsOfRevocation is what the revocation of one token writes, besides the series of the requesters: the token, its place on the
// list, and the audit record.
const recordsOfRevocation = 3

// revokeSome revokes the next tokens of a client after number after, as many as fit into one transaction. It returns the
// number of the last one looked at, 0 if there was none.
func (s *Service) revokeSome(ctx context.Context, client, after uint64, cause string) (last uint64, hashes []ace.TokenHash, err error) {
	var changed []Peer
	err = s.store.Update(ctx, func(tx *keystore.Tx) error {
		var numbers []uint64
		err := tx.ScanAfter(nameTokensOf(client), nameTokenOf(client, after), func(n keystore.Name, _ []byte) error {
			if len(numbers) == updateBudget/recordsOfRevocation {
				return keystore.ErrStop
			}
			numbers = append(numbers, n.ID(1))
			return nil
		})
		if err != nil {
			return err
		}
		u, err := s.newListUpdate(tx)
		if err != nil {
			return err
		}
		now := s.now().Unix()
		for _, n := range numbers {
			t, err := load[tokenRecord](tx, nameToken(n))
			if err != nil {
				return err
			}
			if t.Revoked == 0 && t.Expires > now {
				cost, err := u.cost(t, recordsOfRevocation)
				if err != nil {
					return err
				}
				if cost > updateBudget && len(hashes) > 0 {
					break
				}
				if err := s.revoke(ctx, u, t, cause); err != nil {
					return err
				}
				hashes = append(hashes, ace.TokenHash(t.Hash))
			}
			last = n
		}
		changed, err = u.write()
		return err
	})
	if err != nil {
		return 0, nil, err
	}
	s.changed(changed)
	return last, hashes, nil
}

// RevokeToken ends a token before its time. Revoking it again only tells Events once more, and after its end it does nothing.
func (s *Service) RevokeToken(ctx context.Context, h ace.TokenHash, cause string) error {
	var changed []Peer
	tell := false
	err := s.store.Update(ctx, func(tx *keystore.Tx) error {
		t, err := s.tokenHashed(tx, h)
		if err != nil || t.Expires <= s.now().Unix() {
			return err
		}
		if tell = true; t.Revoked != 0 {
			return nil
		}
		u, err := s.newListUpdate(tx)
		if err != nil {
			return err
		}
		if err := s.revoke(ctx, u, t, cause); err != nil {
			return err
		}
		changed, err = u.write()
		return err
	})
	if err == nil && tell {
		s.cfg.Events.TokenRevoked(h)
		s.changed(changed)
	}
	return err
}

// revoke marks a token revoked and takes it on the list, with its audit record.
func (s *Service) revoke(ctx context.Context, u *listUpdate, t *tokenRecord, cause string) error {
	t.Revoked = s.now().Unix()
	e := auditEvent{Event: "token.revoked", Token: ace.TokenHash(t.Hash).String(), Cause: cause}
	if c, err := loadClient(u.tx, t.Client); err == nil {
		e.Client = c.Name
	}
	return errors.Join(put(u.tx, nameToken(t.Number), t), u.add(t, true, recordsOfRevocation), s.audit(ctx, u.tx, e))
}
