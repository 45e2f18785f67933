package keystore_test

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/cohort-iot/cohort/keystore"
	"github.com/cohort-iot/cohort/keystore/keystoretest"
)

// machine is a store with its data and its anchor, each of which can be set back.
type machine struct {
	t      *testing.T
	data   *keystore.Memory
	anchor *keystoretest.Anchor
	s      *keystore.Store
}

func boot(t *testing.T) *machine {
	m := &machine{t: t, data: keystore.NewMemory(), anchor: &keystoretest.Anchor{}}
	m.open()
	return m
}

func (m *machine) open() keystore.Restart {
	m.t.Helper()
	s, err := keystore.Open(m.data, keystore.Options{DataKey: keystoretest.DataKey(1), Anchor: m.anchor, AnchorEvery: 4})
	must(m.t, err)
	m.s = s
	return s.Restart()
}

func (m *machine) work(n int) {
	m.t.Helper()
	for range n {
		must(m.t, m.s.Update(ctx, put(keyA, "x")))
	}
}

func TestAnchor(t *testing.T) {
	t.Run("a new store with a new anchor is fresh", func(t *testing.T) {
		m := boot(t)
		if r := m.s.Restart(); !r.Fresh || r.Clean || !r.Continuous() || r.Generation != 1 {
			t.Fatalf("%+v", r)
		}
	})
	t.Run("a clean stop is clean and continuous", func(t *testing.T) {
		m := boot(t)
		m.work(9)
		must(t, m.s.Close())
		if r := m.open(); r.Fresh || !r.Clean || !r.Continuous() || r.Generation != 2 {
			t.Fatalf("%+v", r)
		}
	})
	t.Run("a crash is continuous and not clean", func(t *testing.T) {
		m := boot(t)
		m.work(9)
		if r := m.open(); r.Clean || !r.Continuous() {
			t.Fatalf("%+v", r)
		}
	})
	t.Run("data from before the last start is noticed, and its sequence numbers are refused for good", func(t *testing.T) {
		m := boot(t)
		seq := keystore.Key("seq")
		must(t, m.s.Sequence(seq).Reserve(ctx, 100))
		old := m.data.Clone()
		must(t, m.s.Close())
		m.open()
		m.work(1)
		must(t, m.s.Close())
		m.data = old
		r := m.open()
		if r.Anchor != keystore.AnchorAhead || r.Continuous() || r.Clean || r.Generation != 3 {
			t.Fatalf("%+v", r)
		}
		for range 2 {
			_, err := m.s.Sequence(seq).High(ctx)
			wantErr(t, err, keystore.ErrSequenceLost)
			wantErr(t, m.s.Sequence(seq).Reserve(ctx, 1000), keystore.ErrSequenceLost)
			wantErr(t, m.s.Update(ctx, func(tx *keystore.Tx) error { return tx.ReserveSequence(seq, 1000) }), keystore.ErrSequenceLost)
			must(t, m.s.Sequence(keystore.Key("seq", m.s.Generation())).Reserve(ctx, 10))
			must(t, m.s.Update(ctx, func(tx *keystore.Tx) error { tx.Settle(); return nil }))
			m.open()
		}
	})
	t.Run("a clean stop of before is noticed", func(t *testing.T) {
		m := boot(t)
		must(t, m.s.Close())
		old := m.data.Clone()
		m.open()
		must(t, m.s.Close())
		m.data = old
		if r := m.open(); r.Anchor != keystore.AnchorAhead || r.Clean {
			t.Fatalf("%+v", r)
		}
	})
	t.Run("data of the same run is noticed when it is older than the anchor's last write", func(t *testing.T) {
		m := boot(t)
		m.work(1)
		old := m.data.Clone()
		m.work(4)
		m.data = old
		if r := m.open(); r.Anchor != keystore.AnchorAhead {
			t.Fatalf("%+v", r)
		}
	})
	t.Run("an effect that asked for the anchor cannot be rolled back unnoticed", func(t *testing.T) {
		m := boot(t)
		old := m.data.Clone()
		must(t, m.s.Update(ctx, func(tx *keystore.Tx) error { tx.Anchor(); return tx.Put(keyA, nil) }))
		m.data = old
		if r := m.open(); r.Anchor != keystore.AnchorAhead {
			t.Fatalf("%+v", r)
		}
	})
	t.Run("the doubt stays over restarts until an effect settles it", func(t *testing.T) {
		m := boot(t)
		old := m.data.Clone()
		m.work(8)
		m.data = old
		m.open()
		m.work(1)
		must(t, m.s.Close())
		if r := m.open(); r.Anchor != keystore.AnchorMatches || !r.Doubtful || r.Clean || r.Continuous() {
			t.Fatalf("%+v", r)
		}
		must(t, m.s.Update(ctx, func(tx *keystore.Tx) error { tx.Settle(); return nil }))
		if r := m.open(); r.Doubtful || !r.Continuous() {
			t.Fatalf("%+v", r)
		}
	})
	for _, c := range []struct {
		what string
		do   func(m *machine)
		want keystore.AnchorState
	}{
		{"a lost anchor", func(m *machine) { m.anchor.B = nil }, keystore.AnchorMissing},
		{"an anchor of another store", func(m *machine) { m.anchor.B = bytes.Clone(boot(m.t).anchor.B) }, keystore.AnchorForeign},
		{"a changed anchor", func(m *machine) { m.anchor.B[20] ^= 1 }, keystore.AnchorForeign},
		{"an anchor cut off", func(m *machine) { m.anchor.B = m.anchor.B[:40] }, keystore.AnchorForeign},
	} {
		t.Run(c.what+" proves nothing", func(t *testing.T) {
			m := boot(t)
			must(t, m.s.Close())
			c.do(m)
			if r := m.open(); r.Anchor != c.want || r.Continuous() || r.Clean || !r.Doubtful {
				t.Fatalf("%v, %+v", r.Anchor, r)
			}
		})
	}
	t.Run("an anchor that was set back proves nothing", func(t *testing.T) {
		m := boot(t)
		old := bytes.Clone(m.anchor.B)
		must(t, m.s.Close())
		m.open()
		m.anchor.B = old
		if r := m.open(); r.Anchor != keystore.AnchorBehind || r.Continuous() {
			t.Fatalf("%v, %+v", r.Anchor, r)
		}
	})
	t.Run("a new store is not made beside the anchor of another", func(t *testing.T) {
		m := boot(t)
		_, err := keystore.Open(keystore.NewMemory(), keystore.Options{DataKey: keystoretest.DataKey(1), Anchor: m.anchor})
		wantErr(t, err, keystore.ErrAnchor)
	})
	t.Run("without an anchor nothing is proven, a clean stop is still known", func(t *testing.T) {
		s, f := newStore(t)
		must(t, s.Close())
		s = keystoretest.Open(t, f)
		if r := s.Restart(); r.Anchor != keystore.AnchorNone || r.Continuous() || !r.Clean || r.Doubtful {
			t.Fatalf("%+v", r)
		}
	})
	t.Run("an anchor that cannot be read or written stops the opening", func(t *testing.T) {
		m := boot(t)
		m.anchor.Err = errTest
		_, err := keystore.Open(m.data, keystore.Options{DataKey: keystoretest.DataKey(1), Anchor: m.anchor})
		wantErr(t, err, keystore.ErrAnchor)
	})
	t.Run("an anchor that fails later is reported, and fences an effect that needs it", func(t *testing.T) {
		m := boot(t)
		m.anchor.Err = errTest
		m.work(10)
		wantErr(t, m.s.AnchorErr(), keystore.ErrAnchor)
		m.anchor.Err = nil
		m.work(1)
		must(t, m.s.AnchorErr())
		m.anchor.Err = errTest
		err := m.s.Update(ctx, func(tx *keystore.Tx) error { tx.Anchor(); return nil })
		wantErr(t, err, keystore.ErrOutcomeUnknown)
		wantErr(t, err, keystore.ErrAnchor)
	})
	t.Run("every state has words", func(t *testing.T) {
		seen := map[string]bool{}
		for a := keystore.AnchorNone; a <= keystore.AnchorForeign+1; a++ {
			seen[a.String()] = true
		}
		if len(seen) != int(keystore.AnchorForeign)+2 {
			t.Fatal(seen)
		}
	})
}

func TestSchema(t *testing.T) {
	open := func(b keystore.Backend, schema uint32, m func(*keystore.Store, uint32) error) (*keystore.Store, error) {
		o := keystore.Options{DataKey: keystoretest.DataKey(1), Schema: schema}
		if m != nil {
			o.Migrate = func(_ context.Context, s *keystore.Store, from uint32) error { return m(s, from) }
		}
		return keystore.Open(b, o)
	}
	b := keystore.NewMemory()
	s, err := open(b, 2, nil)
	must(t, err)
	if s.Schema() != 2 {
		t.Fatal(s.Schema())
	}
	t.Run("a newer schema is refused and says so", func(t *testing.T) {
		_, err := open(b.Clone(), 1, nil)
		wantErr(t, err, keystore.ErrNewerSchema)
	})
	t.Run("an older schema without a migration is refused", func(t *testing.T) {
		_, err := open(b.Clone(), 3, nil)
		wantErr(t, err, keystore.ErrOlderSchema)
	})
	t.Run("a migration runs before the store is given out, once", func(t *testing.T) {
		c := b.Clone()
		for range 2 {
			s, err := open(c, 3, func(s *keystore.Store, from uint32) error {
				if from != 2 {
					t.Errorf("from %d", from)
				}
				return s.Update(ctx, func(tx *keystore.Tx) error {
					if _, err := tx.Get(keyA); !errors.Is(err, keystore.ErrNotFound) {
						t.Error("runs twice")
					}
					return tx.Put(keyA, []byte("new"))
				})
			})
			must(t, err)
			if s.Schema() != 3 || read(t, s, keyA) != "new" {
				t.Fatal(s.Schema())
			}
		}
	})
	t.Run("a migration that fails leaves the old schema", func(t *testing.T) {
		c := b.Clone()
		_, err := open(c, 3, func(*keystore.Store, uint32) error { return errTest })
		wantErr(t, err, errTest)
		s, err := open(c, 2, nil)
		must(t, err)
		if s.Schema() != 2 {
			t.Fatal(s.Schema())
		}
	})
}
