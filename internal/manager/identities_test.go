package manager

import (
	"context"
	"testing"

	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/keystore"
)

func TestIdentities(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ctx := context.Background()
	w.group("g1", nil)
	w.group("g2", nil)
	w.group("pairs", func(c *GroupConfig) { c.Modes = PairwiseOnly })
	w.group("cwts", func(c *GroupConfig) { c.Signature, c.CredentialFormat = cose.AlgES256, cose.FormatCWT })
	byName := func() map[string]IdentityInfo {
		t.Helper()
		list, err := w.Identities(ctx)
		if err != nil {
			t.Fatal(err)
		}
		m := map[string]IdentityInfo{}
		for _, i := range list {
			m[i.Name] = i
		}
		if len(m) != len(list) || len(m) != 3 {
			t.Fatalf("%+v", list)
		}
		return m
	}
	const ed = "EdDSA-Ed25519-kccs"
	t.Run("one for each kind of groups", func(t *testing.T) {
		m := byName()
		for name, groups := range map[string]int{ed: 2, "ecdh-X25519-kccs": 1, "ES256-P-256-kcwt": 1} {
			if i := m[name]; i.Groups != groups || i.Behind != 0 || i.Generation != 0 || !i.Created.Equal(start) || len(i.Credential) == 0 {
				t.Errorf("%s: %+v", name, i)
			}
		}
		if name := w.info("pairs").Identity; name != "ecdh-X25519-kccs" {
			t.Error(name)
		}
	})
	t.Run("a rotation is of one kind", func(t *testing.T) {
		before := byName()
		if n, err := w.RotateIdentity(ctx, ed); n != 2 || err != nil {
			t.Fatal(n, err)
		}
		after := byName()
		if i := after[ed]; i.Generation != 1 || i.Behind != 0 || string(i.Credential) == string(before[ed].Credential) {
			t.Fatalf("%+v", i)
		}
		if after["ecdh-X25519-kccs"].Generation != 0 {
			t.Fatalf("%+v", after)
		}
	})
	t.Run("also when no group uses it now, and the old key is gone", func(t *testing.T) {
		if err := w.SetActive(ctx, "cwts", false); err != nil {
			t.Fatal(err)
		}
		if err := w.DeleteGroup(ctx, "cwts"); err != nil {
			t.Fatal(err)
		}
		if n, err := w.RotateIdentity(ctx, "ES256-P-256-kcwt"); n != 0 || err != nil {
			t.Fatal(n, err)
		}
		count := 0
		err := w.view(func(r reader) error {
			return r.Scan(nameManagerKeys(), func(keystore.Name, []byte) error { count++; return nil })
		})
		if i := byName()["ES256-P-256-kcwt"]; i.Generation != 1 || i.Groups != 0 || count != 3 || err != nil {
			t.Fatalf("%+v, %d keys, %v", i, count, err)
		}
	})
	t.Run("an unknown one", func(t *testing.T) {
		_, err := w.RotateIdentity(ctx, "g1")
		wantKind(t, err, KindNotFound)
	})
}
