package keystoretest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/cohort-iot/cohort/internal/secret"
	"github.com/cohort-iot/cohort/keystore"
)

// DataKey returns a data key for tests, the same for the same n.
func DataKey(n byte) secret.Bytes {
	k := make(secret.Bytes, keystore.DataKeySize)
	for i := range k {
		k[i] = n ^ byte(i)
	}
	return k
}

// Open opens a store over b with DataKey(1).
func Open(t testing.TB, b keystore.Backend) *keystore.Store {
	t.Helper()
	s, err := keystore.Open(b, keystore.Options{DataKey: DataKey(1)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func store(t *testing.T, h Harness) {
	ctx := context.Background()
	a := keystore.Key("item", 1)
	t.Run("an effect is there after a restart without a clean stop", func(t *testing.T) {
		b := h.Open(t)
		s := Open(t, b)
		must(t, s.Update(ctx, func(tx *keystore.Tx) error { return tx.Put(a, []byte("one")) }))
		s = Open(t, h.Reopen(t, b))
		defer s.Close()
		if s.CleanStop() || s.Generation() != 2 {
			t.Fatalf("clean %v, generation %d", s.CleanStop(), s.Generation())
		}
		must(t, s.View(func(r keystore.Reader) error {
			v, err := r.Get(a)
			if string(v) != "one" {
				t.Errorf("got %q", v)
			}
			return err
		}))
	})
	t.Run("a clean stop is known once", func(t *testing.T) {
		b := h.Open(t)
		must(t, Open(t, b).Close())
		b = h.Reopen(t, b)
		s := Open(t, b)
		if !s.CleanStop() {
			t.Fatal("clean stop not seen")
		}
		s = Open(t, h.Reopen(t, b))
		defer s.Close()
		if s.CleanStop() {
			t.Fatal("clean stop seen twice")
		}
	})
	t.Run("another key is wrong, not corrupt", func(t *testing.T) {
		b := h.Open(t)
		must(t, Open(t, b).Close())
		b = h.Reopen(t, b)
		defer b.Close()
		_, err := keystore.Open(b, keystore.Options{DataKey: DataKey(2)})
		if !errors.Is(err, keystore.ErrWrongKey) || errors.Is(err, keystore.ErrCorrupt) {
			t.Fatalf("got %v, want ErrWrongKey", err)
		}
	})
	t.Run("concurrent effects each see those before", func(t *testing.T) {
		s := Open(t, h.Open(t))
		const workers, each = 8, 20
		var wg sync.WaitGroup
		for range workers {
			wg.Go(func() {
				for range each {
					if err := s.Update(ctx, func(tx *keystore.Tx) error { return increment(tx, a) }); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		must(t, s.View(func(r keystore.Reader) error {
			v, err := r.Get(a)
			if string(v) != fmt.Sprint(workers*each) {
				t.Errorf("counted %s, want %d", v, workers*each)
			}
			return err
		}))
		records, _, err := s.AuditVerify()
		if err != nil || records != workers*each {
			t.Fatalf("audit: %d records, %v", records, err)
		}
		must(t, s.Close())
	})
	t.Run("a second writer is found out and fenced", func(t *testing.T) {
		b := h.Open(t)
		first := Open(t, b)
		second := Open(t, b)
		defer second.Close()
		err := first.Update(ctx, func(tx *keystore.Tx) error { return tx.Put(a, []byte("lost")) })
		if !errors.Is(err, keystore.ErrFenced) {
			t.Fatalf("got %v, want ErrFenced", err)
		}
		<-first.Done()
		if err := first.View(func(keystore.Reader) error { return nil }); !errors.Is(err, keystore.ErrFenced) {
			t.Fatalf("view of a fenced store: got %v", err)
		}
		must(t, second.Update(ctx, func(tx *keystore.Tx) error { return tx.Put(a, []byte("kept")) }))
	})
}

// increment counts in a decimal record and leaves an audit record.
func increment(tx *keystore.Tx, n keystore.Name) error {
	v, err := tx.Get(n)
	if err != nil && !errors.Is(err, keystore.ErrNotFound) {
		return err
	}
	var i int
	if len(v) > 0 {
		if _, err := fmt.Sscan(string(v), &i); err != nil {
			return err
		}
	}
	if err := tx.Audit(fmt.Appendf(nil, "count %d", i+1)); err != nil {
		return err
	}
	return tx.Put(n, fmt.Append(nil, i+1))
}
