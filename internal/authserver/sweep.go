package authserver

import (
	"context"
	"errors"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/keystore"
)

// Run tells Events of all tokens on the list of revoked ones, as the process may have ended before it was told of the latest, and then
// sweeps from time to time until ctx ends. An error of the store is told by report and does not end it.
func (s *Service) Run(ctx context.Context, report func(error)) {
	if err := s.tellRevoked(); err != nil {
		report(err)
	}
	for {
		if _, err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
			report(err)
		}
		due := make(chan struct{})
		timer := s.cfg.Clock.AfterFunc(s.cfg.SweepInterval, func() { close(due) })
		select {
		case <-due:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

func (s *Service) tellRevoked() error {
	var list []ace.TokenHash
	err := s.store.View(func(r keystore.Reader) (err error) {
		list, err = (&listView{r: r, whole: true}).Full()
		return err
	})
	for _, h := range list {
		s.cfg.Events.TokenRevoked(h)
	}
	return err
}

// Sweep forgets tokens that have expired, takes those of them that were revoked off the list, and forgets input material that no
// token is bound to any more, in steps; it returns how many tokens it forgot. Numbers are never given out again.
func (s *Service) Sweep(ctx context.Context) (forgotten int, err error) {
	for {
		n, err := s.sweepSome(ctx)
		forgotten += n
		if err != nil || n == 0 {
			return forgotten, err
		}
	}
}

// recordsOfEnd is what the end of one token deletes: the token, three that lead to it, and its material.
const recordsOfEnd = 5

func (s *Service) sweepSome(ctx context.Context) (done int, err error) {
	var changed []Peer
	err = s.store.Update(ctx, func(tx *keystore.Tx) error {
		done = 0
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
		u, err := s.newListUpdate(tx)
		if err != nil {
			return err
		}
		for _, end := range ends {
			t, err := load[tokenRecord](tx, nameToken(end.ID(1)))
			if err != nil {
				return err
			}
			if t.Revoked == 0 {
				if u.records+recordsOfEnd+len(u.entries)*recordsOfEntry > updateBudget {
					break
				}
				u.records += recordsOfEnd
			} else {
				cost, err := u.cost(t, recordsOfEnd+1)
				if err != nil {
					return err
				}
				if cost > updateBudget && done > 0 {
					break
				}
				if err := u.add(t, false, recordsOfEnd+1); err != nil {
					return err
				}
			}
			if err := s.drop(tx, end, t, now); err != nil {
				return err
			}
			done++
		}
		changed, err = u.write()
		return err
	})
	if err != nil {
		return 0, err
	}
	s.changed(changed)
	return done, nil
}

// drop deletes a token with all that leads to it, and its material if that is no longer bound to any token.
func (s *Service) drop(tx *keystore.Tx, end keystore.Name, t *tokenRecord, now int64) error {
	m, err := load[materialRecord](tx, nameMaterial(t.Material))
	switch {
	case err == nil && m.Until <= now:
		err = tx.Delete(nameMaterial(t.Material))
	case errors.Is(err, keystore.ErrNotFound): // dropped with another token, or it has none
		err = nil
	}
	return errors.Join(err,
		tx.Delete(end),
		tx.Delete(nameToken(t.Number)),
		tx.Delete(nameTokenHash(s.store.Index(domainHash, t.Hash))),
		tx.Delete(nameTokenOf(t.Client, t.Number)),
	)
}
