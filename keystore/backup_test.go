package keystore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
)

func filledFor(t testing.TB) (*Memory, *Store) {
	t.Helper()
	m := NewMemory()
	s, err := Open(m, Options{DataKey: dataKey(1), Rand: rand.NewChaCha8([32]byte{})}) // the same store in every process
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		err := s.Update(context.Background(), func(tx *Tx) error {
			return errors.Join(tx.Put(Key("a", uint64(i)), fmt.Append(nil, i)), tx.Audit(fmt.Append(nil, i)))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return m, s
}

func backupOf(t testing.TB, s *Store) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := s.Backup(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestBackup(t *testing.T) {
	ctx := context.Background()
	o := Options{DataKey: dataKey(1)}
	_, s := filledFor(t)
	if err := s.Sequence(Key("seq")).Reserve(ctx, 100); err != nil {
		t.Fatal(err)
	}
	good := backupOf(t, s)
	t.Run("a backup verifies and says what it holds", func(t *testing.T) {
		m, err := VerifyBackup(bytes.NewReader(good), o)
		if err != nil || m.Records != 5+5+1+2 || m.AuditSeq != 5 || m.Generation != 1 || m.Commit != 7 || m.Schema != 1 || !bytes.Equal(m.ID, s.ID()) {
			t.Fatalf("%+v, %v", m, err)
		}
	})
	t.Run("a restored store has everything, says that it was restored, and is far ahead", func(t *testing.T) {
		b := NewMemory()
		if _, err := Restore(ctx, bytes.NewReader(good), b, o); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			r, err := Open(b, o)
			if err != nil {
				t.Fatal(err)
			}
			if st := r.Restart(); !st.Restored || st.Clean || st.Continuous() || st.Generation < restoreGenerations {
				t.Fatalf("%+v", st)
			}
			count := 0
			if err := r.View(func(r Reader) error {
				return r.Scan("", func(Name, []byte) error { count++; return nil })
			}); err != nil || count != 6 {
				t.Fatal(count, err)
			}
			if n, _, err := r.AuditVerify(); err != nil || n != 5 {
				t.Fatal(n, err)
			}
			if _, err := r.Sequence(Key("seq")).High(ctx); !errors.Is(err, ErrSequenceLost) {
				t.Fatal(err)
			}
		}
		r, _ := Open(b, o)
		if err := r.Update(ctx, func(tx *Tx) error { tx.Settle(); return nil }); err != nil {
			t.Fatal(err)
		}
		if r, _ = Open(b, o); r.Restart().Restored {
			t.Fatal("not settled")
		}
	})
	t.Run("a backup under a wrapped key needs that key", func(t *testing.T) {
		s, err := Open(NewMemory(), Options{Wrapper: xorWrapper(1)})
		if err != nil {
			t.Fatal(err)
		}
		raw := backupOf(t, s)
		if _, err := VerifyBackup(bytes.NewReader(raw), Options{Wrapper: xorWrapper(2)}); !errors.Is(err, ErrWrongKey) {
			t.Fatal(err)
		}
		b := NewMemory()
		if _, err := Restore(ctx, bytes.NewReader(raw), b, Options{Wrapper: xorWrapper(1)}); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(b, Options{Wrapper: xorWrapper(1)}); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("another data key is wrong, not damage", func(t *testing.T) {
		_, err := VerifyBackup(bytes.NewReader(good), Options{DataKey: dataKey(2)})
		if !errors.Is(err, ErrWrongKey) || errors.Is(err, ErrBackup) {
			t.Fatal(err)
		}
	})
	t.Run("any flipped bit is noticed", func(t *testing.T) {
		for bit := range len(good) * 8 {
			bad := bytes.Clone(good)
			bad[bit/8] ^= 1 << (bit % 8)
			if _, err := VerifyBackup(bytes.NewReader(bad), o); !errors.Is(err, ErrBackup) {
				t.Fatalf("bit %d: %v", bit, err)
			}
		}
	})
	t.Run("any cut and any addition is noticed", func(t *testing.T) {
		for n := range good {
			if _, err := VerifyBackup(bytes.NewReader(good[:n]), o); !errors.Is(err, ErrBackup) {
				t.Fatalf("%d bytes: %v", n, err)
			}
		}
		if _, err := VerifyBackup(bytes.NewReader(append(bytes.Clone(good), 0)), o); !errors.Is(err, ErrBackup) {
			t.Fatal(err)
		}
	})
	t.Run("a damaged backup leaves the target empty", func(t *testing.T) {
		b := NewMemory()
		if _, err := Restore(ctx, bytes.NewReader(good[:len(good)-1]), b, o); !errors.Is(err, ErrBackup) || b.Len() != 0 {
			t.Fatal(err, b.Len())
		}
	})
	t.Run("a target that is not empty is refused", func(t *testing.T) {
		b, _ := filledFor(t)
		n := b.Len()
		if _, err := Restore(ctx, bytes.NewReader(good), b, o); err == nil || b.Len() != n {
			t.Fatal(err)
		}
	})
	t.Run("an interrupted restore is not a store", func(t *testing.T) {
		over, cancel := context.WithCancel(ctx)
		cancel()
		b := NewMemory()
		if _, err := Restore(over, bytes.NewReader(good), b, o); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		for at := range 2 {
			b := NewMemory()
			f := &failAt{Backend: b, n: at}
			if _, err := Restore(ctx, bytes.NewReader(good), f, o); !errors.Is(err, errFail) {
				t.Fatal(err)
			}
			_, err := Open(b, Options{DataKey: dataKey(1), Existing: true})
			if !errors.Is(err, ErrEmpty) && !errors.Is(err, ErrCorrupt) {
				t.Fatal(err)
			}
		}
	})
}

var errFail = errors.New("test fault")

// failAt lets n batches through.
type failAt struct {
	Backend
	n int
}

func (f *failAt) Apply(b Batch, fence Fence) error {
	if f.n--; f.n < 0 {
		return errFail
	}
	return f.Backend.Apply(b, fence)
}
