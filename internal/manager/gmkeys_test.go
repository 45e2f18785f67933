package manager

import (
	"context"
	"errors"
	"testing"

	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/keystore"
)

func TestForgottenKey(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	t.Run("is made again by nobody", func(t *testing.T) {
		w := newWorld(t, nil)
		w.group("g1", nil)
		d, _ := w.lamp("a", "g1")
		var before *access // as a request read it that goes on after the rotation
		if err := w.serve(d.caller, "g1", func(_ reader, a *access) error { before = a; return nil }); err != nil {
			t.Fatal(err)
		}
		if _, err := w.RotateIdentity(ctx, w.info("g1").Identity); err != nil {
			t.Fatal(err)
		}
		_, err := w.kdcCred(before, d.key.Public(), d.ns)
		wantKind(t, err, KindUnavailable)
		if !errors.Is(err, errStale) {
			t.Fatal(err)
		}
		wantKind(t, w.ensureIdentity(ctx, before.head.slot()), KindUnavailable)
		if err := w.view(func(r reader) error {
			_, err := r.Get(nameManagerKey(before.head.slot()))
			if err == nil {
				t.Error("the key of the old generation is there again, another one")
			}
			return ignoreNotFound(err)
		}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.KDCCred(ctx, d.caller, "g1"); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("is used by no group that is made during the rotation", func(t *testing.T) {
		w := newWorld(t, nil)
		i, marked := w.interpose()
		w.group("g1", nil)
		i.do = func() {
			if _, err := w.RotateIdentity(ctx, w.info("g1").Identity); err != nil {
				t.Error(err)
			}
		}
		if _, err := w.CreateGroup(marked, GroupSpec{Name: "g2", Active: true}); err != nil {
			t.Fatal(err)
		}
		h, err := w.headOf("g2")
		if err != nil || h.KeyGeneration != 1 {
			t.Fatal(h.KeyGeneration, err)
		}
		w.device("b", cose.CurveEd25519, entry("g2", responder)).join("g2", responder)
		keys := 0
		if err := w.view(func(r reader) error {
			return r.Scan(nameManagerKeys(), func(keystore.Name, []byte) error { keys++; return nil })
		}); err != nil || keys != 1 {
			t.Fatal(keys, err)
		}
	})
}
