package boltstore

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/cohort-iot/cohort/keystore"
	"github.com/cohort-iot/cohort/keystore/keystoretest"
)

// TestDamage changes the data file at random. Whatever is changed: the program does not crash, and no read gives a value
// that was not written.
func TestDamage(t *testing.T) {
	path := newPath(t)
	s := keystoretest.Open(t, openAt(t, path))
	value := func(i uint64) string { return fmt.Sprint("value of ", i) }
	for i := range uint64(500) {
		if i%50 == 0 {
			err := s.Update(context.Background(), func(tx *keystore.Tx) error {
				for j := range uint64(50) {
					_ = tx.Put(keystore.Key("item", i+j), []byte(value(i+j)))
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	used := len(bytes.TrimRight(good, "\x00")) // behind that the file is free space
	used += -used & 4095
	rng := rand.New(rand.NewPCG(1, 2))
	damages := map[string]func(b []byte) []byte{
		"a flipped bit": func(b []byte) []byte { b[rng.IntN(used)] ^= 1 << rng.IntN(8); return b },
		"a lost page": func(b []byte) []byte {
			p := rng.IntN(used/4096) * 4096
			clear(b[p : p+4096])
			return b
		},
		"a page header of other bytes": func(b []byte) []byte {
			p := rng.IntN(used/4096) * 4096
			for i := range 32 {
				b[p+i] = byte(rng.Uint32())
			}
			return b
		},
		"a cut": func(b []byte) []byte { return b[:rng.IntN(used)] },
	}
	for what, damage := range damages {
		t.Run(what+" gives an error or the truth", func(t *testing.T) {
			noticed := 0
			for range 60 {
				bad := filepath.Join(t.TempDir(), "data", "store")
				if err := os.Mkdir(filepath.Dir(bad), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(bad, damage(bytes.Clone(good)), 0o600); err != nil {
					t.Fatal(err)
				}
				if err := readAll(t, bad, value); err != nil {
					noticed++
				}
			}
			t.Logf("noticed %d of 60", noticed)
		})
	}
}

func readAll(t *testing.T, path string, value func(uint64) string) error {
	b, err := Open(path)
	if err != nil {
		return err
	}
	s, err := keystore.Open(b, keystore.Options{DataKey: keystoretest.DataKey(1), Existing: true})
	if err != nil {
		_ = b.Close()
		return err
	}
	defer func() { _ = s.Close() }()
	return s.View(func(r keystore.Reader) error {
		seen := 0
		err := r.Scan("", func(n keystore.Name, v []byte) error {
			seen++
			if want := value(n.ID(0)); string(v) != want {
				t.Errorf("%v reads %q", n, v)
			}
			return nil
		})
		if err == nil && seen != 500 {
			err = fmt.Errorf("%d of 500 records", seen)
		}
		return err
	})
}
