package keystoretest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/cohort-iot/cohort/keystore"
)

var errAbort = errors.New("function fails")

// machine runs random effects against a store and a plain map.
type machine struct {
	h     Harness
	t     testing.TB
	b     keystore.Backend
	s     *keystore.Store
	want  map[keystore.Name]string
	audit []string
	opens uint64
}

func model(t *testing.T, h Harness) {
	rapid.Check(t, func(rt *rapid.T) {
		m := &machine{h: h, t: t, b: h.Open(t), want: map[keystore.Name]string{}}
		m.open()
		defer func() { _ = m.s.Close() }()
		rt.Repeat(map[string]func(*rapid.T){
			"":        m.check,
			"update":  m.update,
			"reopen":  func(*rapid.T) { m.b = m.h.Reopen(m.t, m.b); m.open() },
			"restart": func(rt *rapid.T) { m.restart(rt) },
		})
	})
}

func (m *machine) open() {
	m.s = Open(m.t, m.b)
	m.opens++
}

func (m *machine) restart(rt *rapid.T) {
	if err := m.s.Close(); err != nil {
		rt.Fatal(err)
	}
	m.b = m.h.Reopen(m.t, m.b)
	m.open()
	if !m.s.CleanStop() || m.s.Generation() != m.opens {
		rt.Fatalf("clean %v, generation %d after %d opens", m.s.CleanStop(), m.s.Generation(), m.opens)
	}
}

func name(rt *rapid.T) keystore.Name {
	return keystore.Key(rapid.SampledFrom([]string{"a", "ab"}).Draw(rt, "kind"), rapid.SliceOfN(rapid.Uint64Range(0, 3), 0, 2).Draw(rt, "ids")...)
}

func (m *machine) update(rt *rapid.T) {
	next := map[keystore.Name]string{}
	for k, v := range m.want {
		next[k] = v
	}
	var audit []string
	fails := rapid.Bool().Draw(rt, "fails")
	err := m.s.Update(context.Background(), func(tx *keystore.Tx) error {
		for i := range rapid.IntRange(0, 8).Draw(rt, "steps") {
			n := name(rt)
			var err error
			switch rapid.IntRange(0, 4).Draw(rt, "step") {
			case 0, 1:
				next[n] = fmt.Sprint(rapid.Byte().Draw(rt, "value"))
				err = tx.Put(n, []byte(next[n]))
			case 2:
				delete(next, n)
				err = tx.Delete(n)
			case 3:
				audit = append(audit, fmt.Sprint("audit ", i))
				err = tx.Audit([]byte(audit[len(audit)-1]))
			case 4:
				compare(rt, tx, next)
			}
			if err != nil {
				return err
			}
		}
		if fails {
			return errAbort
		}
		return nil
	})
	switch {
	case fails && !errors.Is(err, errAbort):
		rt.Fatalf("got %v, want the function's error", err)
	case !fails && err != nil:
		rt.Fatal(err)
	case !fails:
		m.want, m.audit = next, append(m.audit, audit...)
	}
}

// check compares the durable state with the map, and the audit log.
func (m *machine) check(rt *rapid.T) {
	if err := m.s.View(func(r keystore.Reader) error { compare(rt, r, m.want); return nil }); err != nil {
		rt.Fatal(err)
	}
	var audit []string
	if err := m.s.AuditScan(0, func(_ uint64, rec []byte) error { audit = append(audit, string(rec)); return nil }); err != nil {
		rt.Fatal(err)
	}
	if !slices.Equal(audit, m.audit) {
		rt.Fatalf("audit log %v, want %v", audit, m.audit)
	}
	if _, _, err := m.s.AuditVerify(); err != nil {
		rt.Fatal(err)
	}
}

// compare reads everything, and one random prefix, and a random record.
func compare(rt *rapid.T, r keystore.Reader, want map[keystore.Name]string) {
	prefix, after := keystore.Name(""), keystore.Name("")
	if rapid.Bool().Draw(rt, "prefixed") {
		prefix = name(rt)
	}
	if rapid.Bool().Draw(rt, "after") {
		after = name(rt)
	}
	var names []keystore.Name
	for n := range want {
		if n > after && len(n) >= len(prefix) && n[:len(prefix)] == prefix {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	var got []keystore.Name
	err := r.ScanAfter(prefix, after, func(n keystore.Name, v []byte) error {
		got = append(got, n)
		if want[n] != string(v) {
			rt.Errorf("%v holds %q, want %q", n, v, want[n])
		}
		return nil
	})
	if err != nil || !slices.Equal(got, names) {
		rt.Fatalf("scan of %v after %v: %v, %v; want %v", prefix, after, got, err, names)
	}
	n := name(rt)
	v, err := r.Get(n)
	if w, ok := want[n]; ok && (err != nil || string(v) != w) || !ok && !errors.Is(err, keystore.ErrNotFound) {
		rt.Fatalf("%v: got %q, %v; want %q, %v", n, v, err, w, ok)
	}
}
