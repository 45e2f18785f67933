package keystore_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/cohort-iot/cohort/keystore"
	"github.com/cohort-iot/cohort/keystore/keystoretest"
)

var (
	ctx     = context.Background()
	keyA    = keystore.Key("a")
	keyB    = keystore.Key("b")
	errTest = errors.New("test fault")
)

func newStore(t testing.TB) (*keystore.Store, *keystoretest.Faulty) {
	f := keystoretest.NewFaulty(keystore.NewMemory())
	return keystoretest.Open(t, f), f
}

func put(n keystore.Name, v string) func(tx *keystore.Tx) error {
	return func(tx *keystore.Tx) error { return tx.Put(n, []byte(v)) }
}

// read returns the durable value, "-" if there is none.
func read(t testing.TB, s *keystore.Store, n keystore.Name) string {
	t.Helper()
	out := "-"
	err := s.View(func(r keystore.Reader) error {
		v, err := r.Get(n)
		if err == nil {
			out = string(v)
		} else if errors.Is(err, keystore.ErrNotFound) {
			err = nil
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got %v, want %v", err, want)
	}
}

func TestUpdate(t *testing.T) {
	t.Run("a function that fails leaves nothing and its error comes back", func(t *testing.T) {
		s, _ := newStore(t)
		err := s.Update(ctx, func(tx *keystore.Tx) error {
			must(t, tx.Put(keyA, []byte("x")))
			must(t, tx.Audit([]byte("x")))
			return errTest
		})
		if err != errTest || read(t, s, keyA) != "-" {
			t.Fatalf("%v, %q", err, read(t, s, keyA))
		}
		if _, last, _ := s.AuditRange(); last != 0 {
			t.Fatal("audit record stayed")
		}
	})
	t.Run("a function sees what it wrote, and an empty value is a value", func(t *testing.T) {
		s, _ := newStore(t)
		must(t, s.Update(ctx, func(tx *keystore.Tx) error {
			must(t, tx.Put(keyA, nil))
			v, err := tx.Get(keyA)
			if err != nil || v == nil || len(v) != 0 {
				t.Errorf("got %v, %v", v, err)
			}
			must(t, tx.Put(keyB, []byte("b")))
			must(t, tx.Delete(keyB))
			_, err = tx.Get(keyB)
			wantErr(t, err, keystore.ErrNotFound)
			return nil
		}))
		if read(t, s, keyA) != "" || read(t, s, keyB) != "-" {
			t.Fatal("not stored as written")
		}
	})
	t.Run("values are copied on their way in and out", func(t *testing.T) {
		s, _ := newStore(t)
		in := []byte("x")
		must(t, s.Update(ctx, func(tx *keystore.Tx) error {
			must(t, tx.Put(keyA, in))
			in[0] = '!'
			out, _ := tx.Get(keyA)
			out[0] = '!'
			return nil
		}))
		if got := read(t, s, keyA); got != "x" {
			t.Fatalf("got %q", got)
		}
	})
	t.Run("a context that is over before the function runs ends the update", func(t *testing.T) {
		s, _ := newStore(t)
		over, cancel := context.WithCancel(ctx)
		cancel()
		wantErr(t, s.Update(over, func(*keystore.Tx) error { t.Error("ran"); return nil }), context.Canceled)
	})
	t.Run("a panic leaves nothing, reaches the caller, and the store goes on", func(t *testing.T) {
		s, _ := newStore(t)
		func() {
			defer func() {
				if recover() != "boom" {
					t.Error("no panic")
				}
			}()
			_ = s.Update(ctx, func(tx *keystore.Tx) error { _ = tx.Put(keyA, []byte("x")); panic("boom") })
		}()
		must(t, s.Update(ctx, put(keyB, "b")))
		if read(t, s, keyA) != "-" {
			t.Fatal("effect of the panicking function stayed")
		}
	})
	t.Run("a goroutine that ends inside its function leaves nothing", func(t *testing.T) {
		s, _ := newStore(t)
		var wg sync.WaitGroup
		wg.Go(func() {
			_ = s.Update(ctx, func(tx *keystore.Tx) error { _ = tx.Put(keyA, []byte("x")); runtime.Goexit(); return nil })
		})
		wg.Wait()
		must(t, s.Update(ctx, put(keyB, "b")))
		if read(t, s, keyA) != "-" {
			t.Fatal("effect stayed")
		}
	})
	t.Run("a transaction is over when its function has returned", func(t *testing.T) {
		s, _ := newStore(t)
		var kept *keystore.Tx
		must(t, s.Update(ctx, func(tx *keystore.Tx) error { kept = tx; return nil }))
		_, err := kept.Get(keyA)
		wantErr(t, err, keystore.ErrClosed)
		wantErr(t, kept.Scan(keyA, nil), keystore.ErrClosed)
	})
	t.Run("names and prefixes of the store itself are refused", func(t *testing.T) {
		s, _ := newStore(t)
		wantErr(t, s.Update(ctx, put("_head\x00", "x")), keystore.ErrName)
		wantErr(t, s.Update(ctx, put("", "x")), keystore.ErrName)
		must(t, s.View(func(r keystore.Reader) error {
			_, err := r.Get("_head\x00")
			wantErr(t, err, keystore.ErrName)
			wantErr(t, r.Scan("_", func(keystore.Name, []byte) error { return nil }), keystore.ErrName)
			return r.Scan("", func(n keystore.Name, _ []byte) error { t.Errorf("saw %v", n); return nil })
		}))
	})
	t.Run("ErrStop ends a scan, other errors come back", func(t *testing.T) {
		s, _ := newStore(t)
		must(t, s.Update(ctx, func(tx *keystore.Tx) error {
			must(t, tx.Put(keyA, nil))
			wantErr(t, tx.Scan("", func(keystore.Name, []byte) error { return errTest }), errTest)
			return tx.Scan("", func(keystore.Name, []byte) error { return keystore.ErrStop })
		}))
		must(t, s.View(func(r keystore.Reader) error {
			wantErr(t, r.Scan("", func(keystore.Name, []byte) error { return errTest }), errTest)
			return r.Scan("", func(keystore.Name, []byte) error { return keystore.ErrStop })
		}))
	})
	t.Run("a closed store refuses, and closing again does nothing", func(t *testing.T) {
		s, _ := newStore(t)
		must(t, s.Close())
		must(t, s.Close())
		wantErr(t, s.Update(ctx, put(keyA, "a")), keystore.ErrClosed)
		wantErr(t, s.View(func(keystore.Reader) error { return nil }), keystore.ErrClosed)
		wantErr(t, s.Err(), keystore.ErrClosed)
	})
}

func TestLimits(t *testing.T) {
	puts := func(n, size int) func(tx *keystore.Tx) error {
		return func(tx *keystore.Tx) error {
			for i := range n {
				_ = tx.Put(keystore.Key("r", uint64(i)), make([]byte, size)) // the error must stick without being looked at
			}
			return nil
		}
	}
	for _, c := range []struct {
		what string
		fn   func(tx *keystore.Tx) error
		ok   bool
	}{
		{"as many records as allowed", puts(keystore.MaxEffectRecords, 1), true},
		{"one record more", puts(keystore.MaxEffectRecords+1, 1), false},
		{"as many bytes as allowed", puts(8, keystore.MaxEffectBytes/8-len(keystore.Key("r", 1))), true},
		{"one byte a record more", puts(8, keystore.MaxEffectBytes/8-len(keystore.Key("r", 1))+1), false},
		{"a value as long as allowed", puts(1, keystore.MaxValue), true},
		{"a value too long", puts(1, keystore.MaxValue+1), false},
		{"one record written again and again", func(tx *keystore.Tx) error {
			for range 100 {
				_ = tx.Put(keyA, make([]byte, 100000))
			}
			return nil
		}, true},
		{"audit records count", func(tx *keystore.Tx) error {
			for range keystore.MaxEffectRecords + 1 {
				_ = tx.Audit(nil)
			}
			return nil
		}, false},
		{"an audit record too long", func(tx *keystore.Tx) error {
			_ = tx.Audit(make([]byte, keystore.MaxValue+1))
			return nil
		}, false},
	} {
		t.Run(c.what, func(t *testing.T) {
			s, _ := newStore(t)
			err := s.Update(ctx, c.fn)
			if c.ok {
				must(t, err)
				return
			}
			wantErr(t, err, keystore.ErrTooLarge)
			must(t, s.View(func(r keystore.Reader) error {
				return r.Scan("", func(n keystore.Name, _ []byte) error { return fmt.Errorf("%v was written", n) })
			}))
		})
	}
	t.Run("a scan inside Update is bounded, one in View is not", func(t *testing.T) {
		s, _ := newStore(t)
		for i := range keystore.MaxScanInUpdate/keystore.MaxEffectRecords + 1 {
			must(t, s.Update(ctx, func(tx *keystore.Tx) error {
				for j := range keystore.MaxEffectRecords {
					_ = tx.Put(keystore.Key("r", uint64(i), uint64(j)), nil)
				}
				return nil
			}))
		}
		count := 0
		walk := func(keystore.Name, []byte) error { count++; return nil }
		err := s.Update(ctx, func(tx *keystore.Tx) error { _ = tx.Scan("", walk); return nil })
		wantErr(t, err, keystore.ErrTooLarge)
		count = 0
		must(t, s.View(func(r keystore.Reader) error { return r.Scan("", walk) }))
		if count != keystore.MaxScanInUpdate+keystore.MaxEffectRecords {
			t.Fatalf("%d records", count)
		}
	})
}

// TestGroupCommit uses a bubble, in which Wait returns when every goroutine waits for another.
func TestGroupCommit(t *testing.T) {
	// held opens a store whose next commit waits until release is called, with the error given then.
	held := func(t *testing.T) (s *keystore.Store, f *keystoretest.Faulty, release func(error)) {
		s, f = newStore(t)
		gate := make(chan error)
		first := true
		f.Before(func(keystore.Batch) error {
			if first {
				first = false
				return <-gate
			}
			return nil
		})
		return s, f, func(err error) { gate <- err }
	}
	start := func(s *keystore.Store, fn func(tx *keystore.Tx) error) chan error {
		done := make(chan error, 1)
		go func() { done <- s.Update(ctx, fn) }()
		synctest.Wait()
		return done
	}
	t.Run("effects that come while a commit is under way share the next one", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var commits []keystore.Commit
			f := keystoretest.NewFaulty(keystore.NewMemory())
			s, err := keystore.Open(f, keystore.Options{DataKey: keystoretest.DataKey(1), OnCommit: func(c keystore.Commit) { commits = append(commits, c) }})
			must(t, err)
			gate := make(chan struct{})
			f.Before(func(keystore.Batch) error { <-gate; return nil })
			var all []chan error
			for i := range 100 {
				all = append(all, start(s, put(keystore.Key("r", uint64(i)), "x")))
			}
			close(gate)
			for _, done := range all {
				must(t, <-done)
			}
			if len(commits) != 2 || commits[0].Effects != 1 || commits[1].Effects != 99 {
				t.Fatalf("commits: %+v", commits)
			}
		})
	})
	t.Run("a commit that is full is followed by another", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, _, release := held(t)
			big := func(tx *keystore.Tx) error { return tx.Put(keyA, make([]byte, keystore.MaxValue)) }
			var all []chan error
			for range 100 {
				all = append(all, start(s, big))
			}
			release(nil)
			for _, done := range all {
				must(t, <-done)
			}
		})
	})
	t.Run("a function sees an effect that is not durable yet, a view does not", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, _, release := held(t)
			first := start(s, put(keyA, "one"))
			if got := read(t, s, keyA); got != "-" {
				t.Errorf("view saw %q", got)
			}
			second := start(s, func(tx *keystore.Tx) error {
				v, err := tx.Get(keyA)
				return errors.Join(err, tx.Put(keyB, append(v, '+')))
			})
			release(nil)
			must(t, <-first)
			must(t, <-second)
			if got := read(t, s, keyB); got != "one+" {
				t.Fatalf("got %q", got)
			}
		})
	})
	t.Run("what was built on a commit that failed fails with it, what comes later does not", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, _, release := held(t)
			first := start(s, put(keyA, "one"))
			second := start(s, put(keyB, "two"))
			release(fmt.Errorf("%w: %w", errTest, keystore.ErrNotApplied))
			wantErr(t, <-first, errTest)
			wantErr(t, <-second, keystore.ErrNotApplied)
			must(t, s.Update(ctx, put(keyB, "three")))
			if read(t, s, keyA) != "-" || read(t, s, keyB) != "three" {
				t.Fatal("wrong state")
			}
		})
	})
	t.Run("a function that runs while the commit it builds on fails, fails too", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, _, release := held(t)
			first := start(s, put(keyA, "one"))
			inside := make(chan struct{})
			second := start(s, func(tx *keystore.Tx) error { <-inside; return tx.Put(keyB, nil) })
			release(keystore.ErrNotApplied)
			wantErr(t, <-first, keystore.ErrNotApplied)
			close(inside)
			wantErr(t, <-second, keystore.ErrNotApplied)
		})
	})
	t.Run("a refusal because of an effect in flight is given only when that is durable", func(t *testing.T) {
		for _, fault := range []error{nil, keystore.ErrNotApplied} {
			synctest.Test(t, func(t *testing.T) {
				s, _, release := held(t)
				first := start(s, put(keyA, "one"))
				second := start(s, func(tx *keystore.Tx) error {
					if _, err := tx.Get(keyA); err == nil {
						return errTest
					}
					return nil
				})
				other := start(s, func(tx *keystore.Tx) error { return errTest })
				select {
				case <-second:
					t.Error("answered before the effect it saw was durable")
				case err := <-other:
					wantErr(t, err, errTest)
				}
				release(fault)
				if err := <-first; !errors.Is(err, fault) {
					t.Error(err)
				}
				if fault == nil {
					fault = errTest
				}
				wantErr(t, <-second, fault)
			})
		}
	})
	t.Run("an unknown outcome fences the store, waiting effects included", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, _, release := held(t)
			first := start(s, put(keyA, "one"))
			second := start(s, put(keyB, "two"))
			release(errTest)
			err := <-first
			wantErr(t, err, keystore.ErrOutcomeUnknown)
			wantErr(t, err, errTest)
			wantErr(t, <-second, keystore.ErrOutcomeUnknown)
			<-s.Done()
			wantErr(t, s.Update(ctx, put(keyA, "x")), keystore.ErrOutcomeUnknown)
			wantErr(t, s.View(func(keystore.Reader) error { return nil }), keystore.ErrOutcomeUnknown)
			wantErr(t, s.Err(), keystore.ErrOutcomeUnknown)
			must(t, s.Close())
		})
	})
	t.Run("a context that ends while the function waits for its turn ends the update", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, _ := newStore(t)
			inside := make(chan struct{})
			first := start(s, func(*keystore.Tx) error { <-inside; return nil })
			c, cancel := context.WithCancel(ctx)
			second := make(chan error, 1)
			go func() { second <- s.Update(c, put(keyA, "x")) }()
			synctest.Wait()
			cancel()
			wantErr(t, <-second, context.Canceled)
			close(inside)
			must(t, <-first)
		})
	})
	t.Run("Close waits for what was begun", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			m := keystore.NewMemory()
			f := keystoretest.NewFaulty(m)
			s := keystoretest.Open(t, f)
			gate := make(chan struct{})
			f.Before(func(keystore.Batch) error { <-gate; return nil })
			first := start(s, put(keyA, "one"))
			second := start(s, put(keyB, "two"))
			closed := make(chan error, 1)
			go func() { closed <- s.Close() }()
			synctest.Wait()
			close(gate)
			must(t, <-closed)
			must(t, <-first)
			must(t, <-second)
			again := keystoretest.Open(t, m)
			if !again.CleanStop() || read(t, again, keyB) != "two" {
				t.Fatal("not all there")
			}
		})
	})
	t.Run("disk full fails the effect and nothing else", func(t *testing.T) {
		s, f := newStore(t)
		must(t, s.Update(ctx, put(keyA, "one")))
		f.Before(func(keystore.Batch) error { return fmt.Errorf("%w: %w", keystore.ErrDiskFull, keystore.ErrNotApplied) })
		wantErr(t, s.Update(ctx, put(keyA, "two")), keystore.ErrDiskFull)
		if read(t, s, keyA) != "one" {
			t.Fatal("reading does not go on")
		}
		f.Before(nil)
		must(t, s.Update(ctx, put(keyA, "two")))
	})
}
