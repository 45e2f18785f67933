package manager

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/cohort-iot/cohort/cose"
)

func TestDefaults(t *testing.T) {
	t.Parallel()
	t.Run("KO-PAR-07 both modes", func(t *testing.T) {
		c := GroupConfig{}.WithDefaults()
		if c.HKDF != 5 || c.CredentialFormat != 14 || c.MaxStaleSets != 3 || c.GroupEnc != 10 || c.Signature != -8 || c.AEAD != 10 {
			t.Fatalf("%+v", c)
		}
	})
	t.Run("KO-PAR-09 ecdh_alg follows the hash of hkdf", func(t *testing.T) {
		if c := (GroupConfig{}).WithDefaults(); c.KeyAgreement != cose.AlgECDHSSHKDF256 {
			t.Fatal(c.KeyAgreement)
		}
		if c := (GroupConfig{HKDF: cose.AlgHMAC512}).WithDefaults(); c.KeyAgreement != cose.AlgECDHSSHKDF512 {
			t.Fatal(c.KeyAgreement)
		}
	})
	t.Run("KO-PAR-08,KO-PAR-09 parameters by sign_alg", func(t *testing.T) {
		for alg, want := range map[cose.Algorithm][2]cose.Curve{
			cose.AlgEdDSA: {cose.CurveEd25519, cose.CurveX25519}, cose.AlgES256: {cose.CurveP256, cose.CurveP256},
			cose.AlgES384: {cose.CurveP384, cose.CurveP384}, cose.AlgES512: {cose.CurveP521, cose.CurveP521},
		} {
			c := GroupConfig{Signature: alg}.WithDefaults()
			if c.keyCurve() != want[0] || c.agreementCurve() != want[1] || c.Validate() != nil {
				t.Errorf("%v: %v %v %v", alg, c.keyCurve(), c.agreementCurve(), c.Validate())
			}
		}
		if c := (GroupConfig{Modes: PairwiseOnly}).WithDefaults(); c.keyCurve() != cose.CurveX25519 || c.GroupEnc != 0 || c.Signature != 0 {
			t.Errorf("%+v", c)
		}
	})
	t.Run("KO-SID-03 the longest Sender ID", func(t *testing.T) {
		for _, x := range []struct {
			c    GroupConfig
			want int
		}{
			{GroupConfig{}, 7},
			{GroupConfig{GroupEnc: cose.AlgA128GCM}, 6},
			{GroupConfig{AEAD: cose.AlgAESCCM64_64_128}, 1},
			{GroupConfig{Modes: GroupModeOnly, GroupEnc: cose.AlgChaCha20Poly1305}, 6},
		} {
			if got := x.c.WithDefaults().maxSenderIDSize(); got != x.want {
				t.Errorf("%+v: %d, want %d", x.c, got, x.want)
			}
		}
	})
}

func TestConfigurationFaults(t *testing.T) {
	t.Parallel()
	bad := GroupConfig{
		Modes: 9, HKDF: cose.AlgEdDSA, CredentialFormat: 99, GroupEnc: cose.AlgEdDSA, Signature: cose.AlgA128GCM, AEAD: cose.AlgHMAC256,
		KeyAgreement: cose.AlgEdDSA, MaxStaleSets: 1, KeyLifetime: time.Second, CheckInterval: time.Millisecond, MaxMembers: -1,
	}
	err := bad.Validate()
	if KindOf(err) != KindConfiguration {
		t.Fatal(err)
	}
	if n := strings.Count(err.Error(), "\n") + 1; n != 11 {
		t.Errorf("%d faults are named, want all 11:\n%v", n, err)
	}
	for _, c := range []GroupConfig{
		{Modes: PairwiseOnly, Signature: cose.AlgEdDSA}, {Modes: GroupModeOnly, AEAD: cose.AlgA128GCM}, {MaxStaleSets: 65},
		{Modes: PairwiseOnly, CredentialFormat: cose.FormatX5Chain}, {Modes: PairwiseOnly, CredentialFormat: cose.FormatCWT},
		{Signature: cose.AlgEd448, CredentialFormat: cose.FormatX5Bag}, {CredentialFormat: 34},
	} {
		if err := c.WithDefaults().Validate(); KindOf(err) != KindConfiguration || err == nil {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestCreateGroup(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ctx := context.Background()
	t.Run("KG-IF-07 names are unique", func(t *testing.T) {
		w.group("g1", nil)
		_, err := w.CreateGroup(ctx, GroupSpec{Name: "g1"})
		wantKind(t, err, KindConflict)
	})
	t.Run("KO-SCOPE-05 names fit one path segment", func(t *testing.T) {
		for _, n := range []string{"", "a/b", "a b", "ä", "%41", strings.Repeat("x", 256)} {
			_, err := w.CreateGroup(ctx, GroupSpec{Name: n})
			wantKind(t, err, KindMalformed)
		}
	})
	t.Run("a long description and a bad configuration", func(t *testing.T) {
		_, err := w.CreateGroup(ctx, GroupSpec{Name: "g2", Description: strings.Repeat("x", 256)})
		wantKind(t, err, KindMalformed)
		_, err = w.CreateGroup(ctx, GroupSpec{Name: "g2", Config: GroupConfig{MaxStaleSets: 1}})
		wantKind(t, err, KindConfiguration)
	})
	t.Run("GO-12-1 Gids are unique; groups are inactive unless said otherwise", func(t *testing.T) {
		g, err := w.CreateGroup(ctx, GroupSpec{Name: "g2"})
		if err != nil || g.State != GroupInactive || string(g.Gid) == string(w.info("g1").Gid) {
			t.Fatal(g, err)
		}
		list, err := w.Groups(ctx)
		if err != nil || len(list) != 2 || list[0].Name != "g1" || list[1].Name != "g2" {
			t.Fatal(list, err)
		}
	})
	t.Run("a group may be full", func(t *testing.T) {
		w.group("tiny", func(c *GroupConfig) { c.MaxMembers = 1 })
		w.lamp("one", "tiny")
		d := w.device("two", cose.CurveEd25519, entry("tiny", responder))
		_, err := d.tryJoin("tiny", responder, nil)
		wantKind(t, err, KindExhausted)
	})
}
