package keystoretest

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/cohort-iot/cohort/keystore"
)

// Harness makes the backends under test.
type Harness struct {
	// Open returns an empty backend. The suite closes it.
	Open func(t testing.TB) keystore.Backend
	// Reopen closes a backend and returns what the next process would open.
	Reopen func(t testing.TB, b keystore.Backend) keystore.Backend
}

// Run runs the whole suite.
func Run(t *testing.T, h Harness) {
	t.Run("backend", func(t *testing.T) { backend(t, h) })
	t.Run("store", func(t *testing.T) { store(t, h) })
	t.Run("model", func(t *testing.T) { model(t, h) })
}

var fenceName = keystore.Key("fence")

// put is a batch of one, which also moves the fence.
func put(n keystore.Name, v string, fence string) keystore.Batch {
	return keystore.Batch{{Name: fenceName, Value: []byte(fence)}, {Name: n, Value: []byte(v)}}
}

func backend(t *testing.T, h Harness) {
	open := func(t *testing.T) keystore.Backend {
		b := h.Open(t)
		t.Cleanup(func() { _ = b.Close() })
		return b
	}
	a := keystore.Key("item", 1)
	t.Run("an absent record is not found", func(t *testing.T) {
		b := open(t)
		if _, err := get(b, a); !errors.Is(err, keystore.ErrNotFound) {
			t.Fatalf("got %v, want ErrNotFound", err)
		}
	})
	t.Run("a fence that holds lets the batch through, another does not", func(t *testing.T) {
		b := open(t)
		must(t, b.Apply(put(a, "one", "f1"), keystore.Fence{Name: fenceName}))
		for _, wrong := range [][]byte{nil, []byte("f2"), {}} {
			err := b.Apply(put(a, "two", "f2"), keystore.Fence{Name: fenceName, Value: wrong})
			if !errors.Is(err, keystore.ErrFenced) || !errors.Is(err, keystore.ErrNotApplied) {
				t.Fatalf("fence %q: got %v, want ErrFenced and ErrNotApplied", wrong, err)
			}
			want(t, b, a, "one")
		}
		must(t, b.Apply(put(a, "two", "f2"), keystore.Fence{Name: fenceName, Value: []byte("f1")}))
		want(t, b, a, "two")
	})
	t.Run("a fence on an absent record needs no value", func(t *testing.T) {
		b := open(t)
		err := b.Apply(put(a, "one", "f1"), keystore.Fence{Name: fenceName, Value: []byte("f0")})
		if !errors.Is(err, keystore.ErrFenced) {
			t.Fatalf("got %v, want ErrFenced", err)
		}
	})
	t.Run("deleting removes, also what is not there", func(t *testing.T) {
		b := open(t)
		must(t, b.Apply(put(a, "one", "f1"), keystore.Fence{Name: fenceName}))
		must(t, b.Apply(keystore.Batch{{Name: a}, {Name: keystore.Key("item", 9)}}, keystore.Fence{Name: fenceName, Value: []byte("f1")}))
		if _, err := get(b, a); !errors.Is(err, keystore.ErrNotFound) {
			t.Fatalf("got %v, want ErrNotFound", err)
		}
	})
	t.Run("a batch does not keep the caller's slices", func(t *testing.T) {
		b := open(t)
		v := []byte("one")
		must(t, b.Apply(keystore.Batch{{Name: a, Value: v}}, keystore.Fence{Name: fenceName}))
		v[0] = 'X'
		want(t, b, a, "one")
	})
	t.Run("a scan is ordered by number, bounded by prefix, after and error", func(t *testing.T) { scanOrder(t, open(t)) })
	t.Run("a view does not see what is applied meanwhile", func(t *testing.T) {
		b := open(t)
		must(t, b.Apply(put(a, "one", "f1"), keystore.Fence{Name: fenceName}))
		must(t, b.View(func(r keystore.BackendReader) error {
			done := make(chan error, 1)
			go func() { done <- b.Apply(put(a, "two", "f2"), keystore.Fence{Name: fenceName, Value: []byte("f1")}) }()
			if err := <-done; err != nil {
				return err
			}
			v, err := r.Get(a)
			if string(v) != "one" {
				t.Errorf("view saw %q", v)
			}
			return err
		}))
		want(t, b, a, "two")
	})
	t.Run("what was applied is there after reopening", func(t *testing.T) {
		b := h.Open(t)
		big := bytes.Repeat([]byte{7}, keystore.MaxValue)
		must(t, b.Apply(keystore.Batch{{Name: a, Value: []byte("one")}, {Name: keystore.Key("item", 2), Value: big}}, keystore.Fence{Name: fenceName}))
		b = h.Reopen(t, b)
		t.Cleanup(func() { _ = b.Close() })
		want(t, b, a, "one")
		want(t, b, keystore.Key("item", 2), string(big))
	})
	t.Run("of concurrent writers with one fence exactly one wins", func(t *testing.T) {
		b := open(t)
		must(t, b.Apply(put(a, "zero", "f0"), keystore.Fence{Name: fenceName}))
		var wg sync.WaitGroup
		errs := make([]error, 8)
		for i := range errs {
			wg.Go(func() {
				errs[i] = b.Apply(put(a, fmt.Sprint(i), fmt.Sprint("f", i+1)), keystore.Fence{Name: fenceName, Value: []byte("f0")})
			})
		}
		wg.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
			} else if !errors.Is(err, keystore.ErrFenced) {
				t.Fatal(err)
			}
		}
		if won != 1 {
			t.Fatalf("%d writers won", won)
		}
	})
}

func scanOrder(t *testing.T, b keystore.Backend) {
	ids := []uint64{1, 2, 255, 256, 1 << 40}
	var batch keystore.Batch
	for _, id := range ids {
		batch = append(batch, keystore.Op{Name: keystore.Key("item", id), Value: []byte(fmt.Sprint(id))})
	}
	batch = append(batch, keystore.Op{Name: keystore.Key("item", 2, 5), Value: []byte("below 2")}, keystore.Op{Name: keystore.Key("items", 1), Value: []byte("other kind")})
	must(t, b.Apply(batch, keystore.Fence{Name: fenceName}))
	scan := func(prefix, after keystore.Name) (out []string) {
		must(t, b.View(func(r keystore.BackendReader) error {
			return r.Scan(prefix, after, func(n keystore.Name, v []byte) error {
				out = append(out, n.String()+"="+string(v))
				return nil
			})
		}))
		return out
	}
	all := []string{"item/1=1", "item/2=2", "item/2/5=below 2", "item/255=255", "item/256=256", "item/1099511627776=1099511627776"}
	equal(t, scan(keystore.Key("item"), ""), all)
	equal(t, scan(keystore.Key("item"), keystore.Key("item", 2)), all[2:])
	equal(t, scan(keystore.Key("item"), keystore.Key("item", 3)), all[3:])
	equal(t, scan(keystore.Key("item", 2), ""), all[1:3])
	equal(t, scan(keystore.Key("none"), ""), nil)
	equal(t, scan("", ""), append(all[:len(all):len(all)], "items/1=other kind"))
	stop := errors.New("stop here")
	seen := 0
	err := b.View(func(r keystore.BackendReader) error {
		return r.Scan(keystore.Key("item"), "", func(keystore.Name, []byte) error { seen++; return stop })
	})
	if err != stop || seen != 1 {
		t.Fatalf("error of the function: got %v after %d records", err, seen)
	}
}

func get(b keystore.Backend, n keystore.Name) (v []byte, err error) {
	err = b.View(func(r keystore.BackendReader) error {
		raw, err := r.Get(n)
		v = bytes.Clone(raw)
		return err
	})
	return v, err
}

func want(t *testing.T, b keystore.Backend, n keystore.Name, v string) {
	t.Helper()
	if got, err := get(b, n); err != nil || string(got) != v {
		t.Fatalf("%v: got %.20q, %v; want %.20q", n, got, err, v)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func equal[T comparable](t testing.TB, got, want []T) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("got %v, want %v", got, want)
		}
	}
}
