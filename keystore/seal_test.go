package keystore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/cohort-iot/cohort/internal/secret"
)

func dataKey(n byte) secret.Bytes { return bytes.Repeat([]byte{n}, DataKeySize) }

func filled(t *testing.T) (*Memory, *Store) {
	t.Helper()
	m := NewMemory()
	s, err := Open(m, Options{DataKey: dataKey(1)})
	if err != nil {
		t.Fatal(err)
	}
	err = s.Update(context.Background(), func(tx *Tx) error {
		return errors.Join(tx.Put(Key("a", 1), []byte("secret one")), tx.Put(Key("a", 2), []byte("secret two")), tx.Audit([]byte("secret event")))
	})
	if err != nil {
		t.Fatal(err)
	}
	return m, s
}

// tamper changes the raw records of a copy.
func tamper(t *testing.T, m *Memory, fn func(raw map[Name][]byte)) *Memory {
	t.Helper()
	raw := map[Name][]byte{}
	_ = m.View(func(r BackendReader) error {
		return r.Scan("", "", func(n Name, v []byte) error { raw[n] = bytes.Clone(v); return nil })
	})
	fn(raw)
	out := NewMemory()
	var batch Batch
	for n, v := range raw {
		batch = append(batch, Op{n, v})
	}
	if err := out.Apply(batch, Fence{Name: Key("none")}); err != nil {
		t.Fatal(err)
	}
	return out
}

// readAll opens the store and reads everything in it.
func readAll(m *Memory) error {
	s, err := Open(m, Options{DataKey: dataKey(1)})
	if err != nil {
		return err
	}
	err = s.View(func(r Reader) error {
		return r.Scan("", func(n Name, v []byte) error {
			if want := map[uint64]string{1: "secret one", 2: "secret two"}[n.ID(0)]; string(v) != want {
				return fmt.Errorf("%v reads %q", n, v)
			}
			return nil
		})
	})
	_, _, aerr := s.AuditVerify()
	return errors.Join(err, aerr)
}

func TestSealing(t *testing.T) {
	t.Run("no value is readable in the backend, and no key anywhere", func(t *testing.T) {
		m, s := filled(t)
		_ = m.View(func(r BackendReader) error {
			return r.Scan("", "", func(n Name, v []byte) error {
				if bytes.Contains(v, []byte("secret")) || bytes.Contains(v, s.keys.data) || bytes.Contains(v, s.keys.seal) {
					t.Errorf("%v is readable", n)
				}
				return nil
			})
		})
	})
	t.Run("any flipped bit of any record is noticed", func(t *testing.T) {
		m, _ := filled(t)
		if err := readAll(m.Clone()); err != nil {
			t.Fatal(err)
		}
		var names []Name
		sizes := map[Name]int{}
		tamper(t, m, func(raw map[Name][]byte) {
			for n, v := range raw {
				names, sizes[n] = append(names, n), len(v)
			}
		})
		for _, n := range names {
			for bit := range sizes[n] * 8 {
				bad := tamper(t, m, func(raw map[Name][]byte) { raw[n][bit/8] ^= 1 << (bit % 8) })
				if err := readAll(bad); !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrNewerSchema) {
					t.Fatalf("%v bit %d: %v", n, bit, err)
				}
			}
		}
	})
	t.Run("a value in the place of another is noticed", func(t *testing.T) {
		m, _ := filled(t)
		bad := tamper(t, m, func(raw map[Name][]byte) { raw[Key("a", 1)] = raw[Key("a", 2)] })
		if err := readAll(bad); !errors.Is(err, ErrCorrupt) {
			t.Fatal(err)
		}
	})
	t.Run("a value of another store with the same data key is noticed", func(t *testing.T) {
		m, _ := filled(t)
		other, _ := filled(t)
		var v []byte
		tamper(t, other, func(raw map[Name][]byte) { v = raw[Key("a", 1)] })
		bad := tamper(t, m, func(raw map[Name][]byte) { raw[Key("a", 1)] = v })
		if err := readAll(bad); !errors.Is(err, ErrCorrupt) {
			t.Fatal(err)
		}
	})
	t.Run("a missing header or head is corrupt, not a new store", func(t *testing.T) {
		m, _ := filled(t)
		for _, n := range []Name{headerName, headName} {
			bad := tamper(t, m, func(raw map[Name][]byte) { delete(raw, n) })
			if err := readAll(bad); !errors.Is(err, ErrCorrupt) {
				t.Fatalf("%v: %v", n, err)
			}
		}
	})
	t.Run("a newer file format is not corrupt", func(t *testing.T) {
		m, _ := filled(t)
		newer := tamper(t, m, func(raw map[Name][]byte) { raw[headerName][len(headerMagic)]++ })
		if err := readAll(newer); !errors.Is(err, ErrNewerSchema) || errors.Is(err, ErrCorrupt) {
			t.Fatal(err)
		}
	})
	t.Run("a store that must exist is not made", func(t *testing.T) {
		if _, err := Open(NewMemory(), Options{DataKey: dataKey(1), Existing: true}); !errors.Is(err, ErrEmpty) {
			t.Fatal(err)
		}
	})
	t.Run("options that do not say which key, or a key of another length, are refused", func(t *testing.T) {
		for _, o := range []Options{{}, {DataKey: dataKey(1)[:31]}, {DataKey: dataKey(1), Wrapper: xorWrapper(1)}} {
			if _, err := Open(NewMemory(), o); err == nil {
				t.Errorf("%+v is accepted", o)
			}
		}
	})
	t.Run("nothing that holds keys prints them", func(t *testing.T) {
		m := NewMemory()
		s, err := Open(m, Options{DataKey: dataKey('K')})
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		log := slog.New(slog.NewJSONHandler(&out, nil))
		show := func(v any) {
			for _, f := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
				fmt.Fprintf(&out, f+"\n", v)
			}
			log.Info("x", "v", v)
		}
		show(s)
		show(s.Sequence(Key("seq")))
		show(Options{DataKey: dataKey('K')})
		show(s.env())
		show(struct{ s *Store }{s})
		show(&struct{ s *Store }{s})
		show(struct{ q *SeqStore }{s.Sequence(Key("seq"))})
		_ = s.View(func(r Reader) error { show(r); return nil })
		_ = s.Update(context.Background(), func(tx *Tx) error { show(tx); return nil })
		for _, k := range []secret.Bytes{s.keys.data, s.keys.seal, s.keys.audit, s.keys.anchor, s.keys.index, s.keys.backup} {
			for _, f := range []string{"%s", "%x", "%X", "%v", "%d"} {
				text := fmt.Sprintf(f, []byte(k))
				if text = strings.Trim(text, "[]"); strings.Contains(out.String(), text) {
					t.Errorf("a key is printed: %s", out.String())
				}
			}
		}
	})
}

func TestIndex(t *testing.T) {
	_, s := filled(t)
	_, other := filled(t)
	hall := s.Index("group", []byte("hall"))
	if again := s.Index("group", []byte("hall")); again != hall {
		t.Error("not the same number twice")
	}
	if s.Index("group", []byte("hall")) == s.Index("group", []byte("Hall")) || s.Index("group", []byte("hall")) == s.Index("grou", []byte("phall")) {
		t.Error("different texts or domains give one number")
	}
	if s.Index("group", []byte("hall")) == other.Index("group", []byte("hall")) {
		t.Error("two stores give one number")
	}
}

// xorWrapper is a wrapper for tests of the store; package seal has real ones.
type xorWrapper byte

func (w xorWrapper) Wrap(k secret.Bytes, id []byte) ([]byte, error) {
	out := append([]byte{byte(w)}, id...)
	for _, b := range k {
		out = append(out, b^byte(w))
	}
	return out, nil
}

func (w xorWrapper) Unwrap(blob, id []byte) (secret.Bytes, error) {
	if len(blob) != 1+16+DataKeySize || !bytes.Equal(blob[1:17], id) {
		return nil, ErrCorrupt
	}
	if blob[0] != byte(w) {
		return nil, ErrWrongKey
	}
	out := bytes.Clone(blob[17:])
	for i := range out {
		out[i] ^= byte(w)
	}
	return out, nil
}

func TestWrapper(t *testing.T) {
	m := NewMemory()
	s, err := Open(m, Options{Wrapper: xorWrapper(1)})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	if err := s.Update(ctx, func(tx *Tx) error { return tx.Put(Key("a"), []byte("x")) }); err != nil {
		t.Fatal(err)
	}
	t.Run("the wrapper opens the store again, another does not", func(t *testing.T) {
		if _, err := Open(m.Clone(), Options{Wrapper: xorWrapper(1)}); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(m.Clone(), Options{Wrapper: xorWrapper(2)}); !errors.Is(err, ErrWrongKey) {
			t.Fatal(err)
		}
	})
	t.Run("rewrapping changes who opens it, while it is open", func(t *testing.T) {
		if err := s.Rewrap(ctx, xorWrapper(2)); err != nil {
			t.Fatal(err)
		}
		if err := s.Update(ctx, func(tx *Tx) error { return tx.Put(Key("a"), []byte("y")) }); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(m.Clone(), Options{Wrapper: xorWrapper(1)}); !errors.Is(err, ErrWrongKey) {
			t.Fatal(err)
		}
		if _, err := Open(m.Clone(), Options{Wrapper: xorWrapper(2)}); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("a store made with a data key has none wrapped", func(t *testing.T) {
		m, _ := filled(t)
		if _, err := Open(m, Options{Wrapper: xorWrapper(1)}); !errors.Is(err, ErrWrongKey) {
			t.Fatal(err)
		}
	})
}
