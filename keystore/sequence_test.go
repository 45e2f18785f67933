package keystore_test

import (
	"context"
	"errors"
	"testing"

	"github.com/cohort-iot/cohort/keystore"
	"github.com/cohort-iot/cohort/keystore/keystoretest"
)

func TestSequence(t *testing.T) {
	name := keystore.Key("seq", 1)
	high := func(t *testing.T, q *keystore.SeqStore, want uint64) {
		t.Helper()
		if got, err := q.High(ctx); err != nil || got != want {
			t.Fatalf("high is %d, %v; want %d", got, err, want)
		}
	}
	t.Run("a block is durable when Reserve returns", func(t *testing.T) {
		m := keystore.NewMemory()
		q := keystoretest.Open(t, m).Sequence(name)
		high(t, q, 0)
		must(t, q.Reserve(ctx, 1024))
		high(t, q, 1024)
		high(t, keystoretest.Open(t, m.Clone()).Sequence(name), 1024)
	})
	t.Run("going back or standing still is a conflict", func(t *testing.T) {
		s, _ := newStore(t)
		q := s.Sequence(name)
		must(t, q.Reserve(ctx, 10))
		wantErr(t, q.Reserve(ctx, 10), keystore.ErrSequenceConflict)
		wantErr(t, q.Reserve(ctx, 9), keystore.ErrSequenceConflict)
		must(t, q.Reserve(ctx, 11))
	})
	t.Run("a second sender on one record is found out by its first block", func(t *testing.T) {
		s, _ := newStore(t)
		a, b := s.Sequence(name), s.Sequence(name)
		high(t, a, 0)
		high(t, b, 0)
		must(t, a.Reserve(ctx, 10))
		wantErr(t, b.Reserve(ctx, 20), keystore.ErrSequenceConflict)
	})
	t.Run("reserving without having asked where to begin is refused", func(t *testing.T) {
		s, _ := newStore(t)
		must(t, s.Sequence(name).Reserve(ctx, 10))
		q := s.Sequence(name)
		wantErr(t, q.Reserve(ctx, 20), keystore.ErrSequenceConflict)
		high(t, q, 10)
		must(t, q.Reserve(ctx, 20))
	})
	t.Run("a first block can be part of another effect, and goes with it", func(t *testing.T) {
		s, _ := newStore(t)
		epoch := func(fail error) error {
			return s.Update(ctx, func(tx *keystore.Tx) error {
				return errors.Join(tx.Put(keyA, []byte("epoch")), tx.ReserveSequence(name, 512), fail)
			})
		}
		wantErr(t, epoch(errTest), errTest)
		high(t, s.Sequence(name), 0)
		must(t, epoch(nil))
		q := s.Sequence(name)
		high(t, q, 512)
		must(t, q.Reserve(ctx, 1024))
		wantErr(t, epoch(nil), keystore.ErrSequenceConflict)
	})
	t.Run("OS-B.1.1-2 a block whose write failed or is in doubt is not usable, and is skipped after the restart", func(t *testing.T) {
		for _, applied := range []bool{false, true} {
			m := keystore.NewMemory()
			f := keystoretest.NewFaulty(m)
			q := keystoretest.Open(t, f).Sequence(name)
			must(t, q.Reserve(ctx, 100))
			fail := func() error { return errTest }
			if applied {
				f.After(fail)
			} else {
				f.Before(func(keystore.Batch) error { return errTest })
			}
			wantErr(t, q.Reserve(ctx, 200), keystore.ErrOutcomeUnknown)
			got, err := keystoretest.Open(t, m).Sequence(name).High(ctx)
			must(t, err)
			if got < 100 {
				t.Fatalf("numbers from %d on would be used again", got)
			}
		}
	})
	t.Run("a record of another shape is corrupt", func(t *testing.T) {
		s, _ := newStore(t)
		must(t, s.Update(ctx, put(name, "seven b")))
		_, err := s.Sequence(name).High(ctx)
		wantErr(t, err, keystore.ErrCorrupt)
		must(t, s.Update(ctx, func(tx *keystore.Tx) error {
			must(t, tx.Put(name, nil))
			wantErr(t, tx.ReserveSequence(name, 1), keystore.ErrCorrupt)
			must(t, tx.Delete(name))
			return tx.ReserveSequence(name, 1)
		}))
	})
	t.Run("a context that is over ends both calls", func(t *testing.T) {
		s, _ := newStore(t)
		over, cancel := context.WithCancel(ctx)
		cancel()
		q := s.Sequence(name)
		_, err := q.High(over)
		wantErr(t, err, context.Canceled)
		wantErr(t, q.Reserve(over, 1), context.Canceled)
		must(t, q.Reserve(ctx, 1))
	})
}
