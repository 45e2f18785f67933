package boltstore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/cohort-iot/cohort/keystore"
	"github.com/cohort-iot/cohort/keystore/keystoretest"
)

// fill writes until the file is full, and returns the count acknowledged last.
func fill(s *keystore.Store) (int, error) {
	for i := 1; ; i++ {
		err := s.Update(context.Background(), func(tx *keystore.Tx) error {
			return errors.Join(tx.Put(keystore.Key("last"), fmt.Append(nil, i)), tx.Put(keystore.Key("fill", uint64(i)), make([]byte, 20000)))
		})
		if err != nil {
			return i - 1, err
		}
	}
}

// afterFull checks that a full store reads on, is not fenced, and takes what needs no more space.
func afterFull(s *keystore.Store, want int) error {
	err := s.View(func(r keystore.Reader) error {
		v, err := r.Get(keystore.Key("last"))
		if err == nil && string(v) != fmt.Sprint(want) {
			err = fmt.Errorf("last is %s, %d was acknowledged", v, want)
		}
		return err
	})
	if err != nil {
		return err
	}
	return s.Update(context.Background(), func(tx *keystore.Tx) error { return tx.Delete(keystore.Key("fill", 1)) })
}

func TestFull(t *testing.T) {
	t.Run("a bound on the file is an ErrDiskFull, and reading and small effects go on", func(t *testing.T) {
		path := newPath(t)
		b, err := OpenWith(path, Options{MaxBytes: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		s := keystoretest.Open(t, b)
		n, err := fill(s)
		if !errors.Is(err, keystore.ErrDiskFull) || !errors.Is(err, keystore.ErrNotApplied) {
			t.Fatal(err)
		}
		if err := afterFull(s, n); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("a file system that takes no more is an ErrDiskFull, and what was acknowledged is there afterwards", func(t *testing.T) {
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		path := newPath(t)
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), fullEnv+"="+path)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		s := keystoretest.Open(t, openAt(t, path))
		defer s.Close()
		var n int
		if _, err := fmt.Sscan(string(out), &n); err != nil {
			t.Fatalf("%s: %v", out, err)
		}
		if err := afterFull(s, n); err != nil {
			t.Fatal(err)
		}
	})
}

const fullEnv = "COHORT_BOLTSTORE_TEST_FULL"

// fullChild fills a store under a limit on file sizes, which fails writes as a full disk does.
func fullChild(path string) error {
	signal.Ignore(syscall.SIGXFSZ)
	limit := syscall.Rlimit{Cur: 3 << 20, Max: 3 << 20}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	b, err := Open(path)
	if err != nil {
		return err
	}
	s, err := keystore.Open(b, keystore.Options{DataKey: keystoretest.DataKey(1)})
	if err != nil {
		return err
	}
	n, err := fill(s)
	if !errors.Is(err, keystore.ErrDiskFull) {
		return fmt.Errorf("filling ended with %w", err)
	}
	fmt.Println(n)
	return nil
}

func TestCompact(t *testing.T) {
	path := newPath(t)
	s := keystoretest.Open(t, openAt(t, path))
	ctx := context.Background()
	for i := range 50 {
		for _, fn := range []func(tx *keystore.Tx) error{
			func(tx *keystore.Tx) error { return tx.Put(keystore.Key("big", uint64(i)), make([]byte, 100000)) },
			func(tx *keystore.Tx) error { return tx.Put(keystore.Key("small", uint64(i)), []byte{1}) },
		} {
			if err := s.Update(ctx, fn); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i := range 50 {
		if err := s.Update(ctx, func(tx *keystore.Tx) error { return tx.Delete(keystore.Key("big", uint64(i))) }); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("an open store is not compacted", func(t *testing.T) {
		if _, _, err := Compact(path); !errors.Is(err, keystore.ErrHeld) {
			t.Fatal(err)
		}
	})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	t.Run("the file shrinks and holds the same", func(t *testing.T) {
		before, after, err := Compact(path)
		if err != nil || after*4 > before {
			t.Fatal(before, after, err)
		}
		b := openAt(t, path)
		if err := b.Check(); err != nil {
			t.Fatal(err)
		}
		s := keystoretest.Open(t, b)
		defer s.Close()
		n, err := s.Check(func(n keystore.Name, err error) { t.Error(n, err) })
		if err != nil || n != 50+2 || !s.CleanStop() {
			t.Fatal(n, err)
		}
		if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o600 {
			t.Fatal(fi.Mode(), err)
		}
		if left, _ := filepath.Glob(path + ".*"); len(left) != 1 { // the lock file
			t.Fatal(left)
		}
	})
}
