package authserver

import (
	"context"
	"errors"

	"github.com/cohort-iot/cohort/keystore"
)

// Sweep forgets tokens that have expired, and input material that no token is bound to any more, in steps; it returns how many
// tokens it forgot. It is to be called from time to time. Numbers are never given out again.
func (s *Service) Sweep(ctx context.Context) (forgotten int, err error) {
	for {
		n, err := s.sweepSome(ctx)
		forgotten += n
		if err != nil || n == 0 {
			return forgotten, err
		}
	}
}

func (s *Service) sweepSome(ctx context.Context) (int, error) {
	done := 0
	err := s.store.Update(ctx, func(tx *keystore.Tx) error {
		now := s.now().Unix()
		var ends []keystore.Name
		err := tx.Scan(nameTokenEnds(), func(n keystore.Name, _ []byte) error {
			if len(ends) == sweepBatch || int64(n.ID(0)) > now {
				return keystore.ErrStop
			}
			ends = append(ends, n)
			return nil
		})
		if err != nil {
			return err
		}
		for _, end := range ends {
			t, err := load[tokenRecord](tx, nameToken(end.ID(1)))
			if err != nil {
				return err
			}
			if err := s.drop(tx, end, t, now); err != nil {
				return err
			}
		}
		done = len(ends)
		return nil
	})
	return done, err
}

// drop deletes a token with all that leads to it, and its material if that is no longer bound to any token.
func (s *Service) drop(tx *keystore.Tx, end keystore.Name, t *tokenRecord, now int64) error {
	m, err := load[materialRecord](tx, nameMaterial(t.Material))
	switch {
	case err == nil && m.Until <= now:
		err = tx.Delete(nameMaterial(t.Material))
	case errors.Is(err, keystore.ErrNotFound): // dropped with another token
		err = nil
	}
	return errors.Join(err,
		tx.Delete(end),
		tx.Delete(nameToken(t.Number)),
		tx.Delete(nameTokenHash(s.store.Index(domainHash, t.Hash))),
		tx.Delete(nameTokenOf(t.Client, t.Number)),
	)
}
