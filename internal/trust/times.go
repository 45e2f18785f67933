package trust

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/internal/cborx"
	"github.com/cohort-iot/cohort/keystore"
)

var _ ace.ExiStore = (*Service)(nil)

// LoadExi implements [ace.ExiStore].
func (s *Service) LoadExi() ([]ace.ExiIssuer, error) {
	var all []ace.ExiIssuer
	err := s.store.View(func(r keystore.Reader) error {
		return r.Scan(nameAllExi(), func(n keystore.Name, b []byte) error {
			rec, err := decode[exiRecord](n, b)
			if err != nil {
				return err
			}
			i := ace.ExiIssuer{Issuer: rec.Issuer, Expired: rec.Expired}
			for _, t := range rec.Live {
				i.Live = append(i.Live, ace.ExiToken{Number: t.Number, Hash: ace.TokenHash(t.Hash), Deadline: time.Unix(t.Deadline, 0)})
			}
			all = append(all, i)
			return nil
		})
	})
	return all, err
}

// MaxExi is how many running tokens with exi of one issuer fit into a record; a table over this store must not hold more.
const MaxExi = 1024

// SaveExi implements [ace.ExiStore].
func (s *Service) SaveExi(ctx context.Context, all []ace.ExiIssuer) error {
	return s.store.Update(ctx, func(tx *keystore.Tx) error {
		for n, i := range all {
			if len(i.Live) > MaxExi || n >= maxAS {
				return fmt.Errorf("%w: too many tokens with exi, or issuers of them", ErrInvalid)
			}
			rec := &exiRecord{Schema: schema, Issuer: i.Issuer, Expired: i.Expired}
			for _, t := range i.Live {
				rec.Live = append(rec.Live, exiToken{t.Number, t.Hash[:], t.Deadline.Unix()})
			}
			if err := put(tx, nameExi(uint64(n)), rec); err != nil {
				return err
			}
		}
		return nil
	})
}

// Mark returns the latest time that was written down; the zero time if none was. A clock that shows an earlier one was set back: see
// [clock.Steady].
func (s *Service) Mark() (time.Time, error) { return LoadMark(s.store) }

// LoadMark is [Service.Mark] before there is a Service.
func LoadMark(store Store) (t time.Time, err error) {
	err = store.View(func(r keystore.Reader) error {
		b, err := r.Get(nameClock())
		if errors.Is(err, keystore.ErrNotFound) {
			return nil
		}
		var sec int64
		if err == nil {
			err = cborx.Unmarshal(b, &sec)
		}
		if err == nil {
			t = time.Unix(sec, 0)
		}
		return err
	})
	return t, err
}

// SaveMark writes down the time.
func (s *Service) SaveMark(ctx context.Context) error {
	return s.store.Update(ctx, func(tx *keystore.Tx) error { return put(tx, nameClock(), s.cfg.Clock.Now().Unix()) })
}

// ResetMark forgets the latest time, for a clock that ran ahead and was set right: the operator says so.
func (s *Service) ResetMark(ctx context.Context) error {
	return s.store.Update(ctx, func(tx *keystore.Tx) error {
		return errors.Join(tx.Delete(nameClock()), s.audit(ctx, tx, auditEvent{Event: "clock.reset"}))
	})
}
