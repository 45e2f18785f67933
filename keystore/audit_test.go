package keystore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/cohort-iot/cohort/internal/secret"
)

// insider writes to a store behind its back, with its keys: what the chain must show all the same.
type insider struct {
	t *testing.T
	s *Store
	m *Memory
}

func audited(t *testing.T, records int) *insider {
	t.Helper()
	m := NewMemory()
	s, err := Open(m, Options{DataKey: bytes.Repeat([]byte{1}, DataKeySize)})
	if err != nil {
		t.Fatal(err)
	}
	for i := range records {
		err := s.Update(context.Background(), func(tx *Tx) error { return tx.Audit(fmt.Appendf(nil, "record %d", i+1)) })
		if err != nil {
			t.Fatal(err)
		}
	}
	return &insider{t, s, m}
}

// write replaces a record of the store, nil removes it.
func (i *insider) write(n Name, plain []byte) {
	i.t.Helper()
	op := Op{Name: n}
	if plain != nil {
		var err error
		if op.Value, err = i.s.sealValue(n, i.s.head.commit, plain); err != nil {
			i.t.Fatal(err)
		}
	}
	if err := i.m.Apply(Batch{op}, Fence{Name: headName, Value: i.s.headRaw}); err != nil {
		i.t.Fatal(err)
	}
}

func (i *insider) plain(n Name) (out []byte) {
	i.t.Helper()
	err := i.m.View(func(r BackendReader) (err error) {
		out, err = auditReader{s: i.s, r: r}.internal(n)
		return err
	})
	if err != nil {
		i.t.Fatal(err)
	}
	return out
}

func (i *insider) texts() (out []string) {
	i.t.Helper()
	err := i.s.AuditScan(0, func(seq uint64, r []byte) error { out = append(out, fmt.Sprintf("%d %s", seq, r)); return nil })
	if err != nil {
		i.t.Fatal(err)
	}
	return out
}

func TestAudit(t *testing.T) {
	ctx := context.Background()
	t.Run("records are numbered from 1 and can be read from any number", func(t *testing.T) {
		i := audited(t, 3)
		if got := i.texts(); !slices.Equal(got, []string{"1 record 1", "2 record 2", "3 record 3"}) {
			t.Fatal(got)
		}
		var seen []uint64
		err := i.s.AuditScan(2, func(seq uint64, _ []byte) error { seen = append(seen, seq); return ErrStop })
		if err != nil || !slices.Equal(seen, []uint64{2}) {
			t.Fatal(seen, err)
		}
		if n, _, err := i.s.AuditVerify(); err != nil || n != 3 {
			t.Fatal(n, err)
		}
	})
	last := func(i *insider) []byte { return bytes.Clone(i.plain(auditName(2))) }
	for what, change := range map[string]func(i *insider){
		"a changed record": func(i *insider) { b := last(i); b[len(b)-1]++; i.write(auditName(2), b) },
		"a record with a code made by another key": func(i *insider) {
			b := append(mac(secret.Bytes("other"), []byte("x")), "x"...)
			i.write(auditName(2), b)
		},
		"a missing first record":   func(i *insider) { i.write(auditName(1), nil) },
		"a missing record":         func(i *insider) { i.write(auditName(2), nil) },
		"a missing last record":    func(i *insider) { i.write(auditName(3), nil) },
		"a record in two places":   func(i *insider) { i.write(auditName(3), last(i)) },
		"a record behind the last": func(i *insider) { i.write(auditName(4), last(i)) },
		"a beginning that is said to be pruned": func(i *insider) {
			i.write(prunedName, Checkpoint{Seq: 1}.marshal())
		},
	} {
		t.Run(what+" breaks the chain", func(t *testing.T) {
			i := audited(t, 3)
			change(i)
			if _, _, err := i.s.AuditVerify(); !errors.Is(err, ErrAuditBroken) {
				t.Fatalf("got %v", err)
			}
		})
	}
	t.Run("a record too short to have a code is corrupt", func(t *testing.T) {
		i := audited(t, 3)
		i.write(auditName(2), []byte("short"))
		if _, _, err := i.s.AuditVerify(); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("got %v", err)
		}
	})
	t.Run("a checkpoint kept outside shows a rewritten or shortened log", func(t *testing.T) {
		i := audited(t, 3)
		kept, err := i.s.AuditCheckpoint()
		if err != nil || kept.Seq != 3 {
			t.Fatal(kept, err)
		}
		if _, n, err := i.s.AuditVerify(kept, Checkpoint{}); err != nil || n != 2 {
			t.Fatal(n, err)
		}
		if _, _, err := audited(t, 3).s.AuditVerify(kept); !errors.Is(err, ErrAuditBroken) {
			t.Fatal("another log passes", err)
		}
		if _, _, err := audited(t, 2).s.AuditVerify(kept); !errors.Is(err, ErrAuditBroken) {
			t.Fatal("a shorter log passes", err)
		}
	})
	t.Run("a pruned log verifies from its checkpoint on, and goes on", func(t *testing.T) {
		i := audited(t, 5)
		before, _ := i.s.AuditCheckpoint()
		for range 2 {
			n, err := i.s.AuditPrune(ctx, 3)
			if err != nil || n != 3 && n != 0 {
				t.Fatal(n, err)
			}
		}
		if got := i.texts(); !slices.Equal(got, []string{"4 record 4", "5 record 5"}) {
			t.Fatal(got)
		}
		if err := i.s.Update(ctx, func(tx *Tx) error { return tx.Audit([]byte("record 6")) }); err != nil {
			t.Fatal(err)
		}
		if n, c, err := i.s.AuditVerify(before); err != nil || n != 3 || c != 1 {
			t.Fatal(n, c, err)
		}
		if first, last, err := i.s.AuditRange(); err != nil || first != 4 || last != 6 {
			t.Fatal(first, last, err)
		}
		if n, err := i.s.AuditPrune(ctx, 100); err != nil || n != 3 {
			t.Fatal(n, err)
		}
		if n, _, err := i.s.AuditVerify(); err != nil || n != 0 {
			t.Fatal(n, err)
		}
	})
	t.Run("pruning more than one commit takes goes on to its end", func(t *testing.T) {
		i := audited(t, 0)
		for range maxPrune/50 + 1 {
			err := i.s.Update(ctx, func(tx *Tx) error {
				for range 50 {
					_ = tx.Audit(nil)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if n, err := i.s.AuditPrune(ctx, maxPrune+49); err != nil || n != maxPrune+49 {
			t.Fatal(n, err)
		}
		if n, _, err := i.s.AuditVerify(); err != nil || n != 1 {
			t.Fatal(n, err)
		}
	})
}

func TestCheckpoint(t *testing.T) {
	c := Checkpoint{Seq: 42}
	c.Code[31] = 7
	t.Run("it comes back from its text", func(t *testing.T) {
		if got, err := ParseCheckpoint(c.String()); err != nil || got != c {
			t.Fatal(got, err)
		}
	})
	t.Run("other texts are refused", func(t *testing.T) {
		code := c.String()[3:]
		for _, s := range []string{"", ":", "1", "1:ab", "x:" + code, "+1:" + code, "01:" + code, " 1:" + code, "1x:" + code, "-1:" + code, "99999999999999999999:" + code, "1:" + code[:63] + "g"} {
			if c, err := ParseCheckpoint(s); err == nil {
				t.Errorf("%q gives %v", s, c)
			}
		}
	})
}
