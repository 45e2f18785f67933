package authserver

import (
	"context"

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
		if err := put(tx, nameClient(c.Number), c); err != nil {
			return err
		}
		return s.audit(ctx, tx, auditEvent{Event: "client.revoked", Client: name, Cause: cause})
	})
	if err != nil {
		return err
	}
	s.forget(c.Number)
	for after := uint64(0); ; {
		last, hashes, err := s.revokeSome(ctx, c.Number, after, cause)
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

// revokeSome revokes the next tokens of a client after number after, as many as fit into one transaction. It returns the
// number of the last one looked at, 0 if there was none.
func (s *Service) revokeSome(ctx context.Context, client, after uint64, cause string) (last uint64, hashes []ace.TokenHash, err error) {
	err = s.store.Update(ctx, func(tx *keystore.Tx) error {
		var numbers []uint64
		err := tx.ScanAfter(nameTokensOf(client), nameTokenOf(client, after), func(n keystore.Name, _ []byte) error {
			if len(numbers) == revokeBatch {
				return keystore.ErrStop
			}
			numbers = append(numbers, n.ID(1))
			return nil
		})
		if err != nil {
			return err
		}
		now := s.now().Unix()
		for _, n := range numbers {
			last = n
			t, err := load[tokenRecord](tx, nameToken(n))
			if err != nil {
				return err
			}
			if t.Revoked != 0 || t.Expires <= now {
				continue
			}
			if err := s.revoke(ctx, tx, t, cause); err != nil {
				return err
			}
			hashes = append(hashes, ace.TokenHash(t.Hash))
		}
		return nil
	})
	return last, hashes, err
}
