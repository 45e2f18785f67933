package authserver

import (
	"testing"
	"time"

	"github.com/cohort-iot/cohort/ace"
)

func TestRegisterRS(t *testing.T) {
	t.Parallel()
	t.Run("AO-076 each resource server has a token key of its own", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		two := must(b.RegisterRS(t.Context(), RSRequest{Audience: "gm2", URI: "coap://127.0.0.2"}))
		if two.Key.Key.Equal(b.gm.Key.Key.Bytes()) || string(two.Key.KID) == string(b.gm.Key.KID) || two.Issuer != "as" {
			t.Fatal("shared")
		}
		if p, _ := two.Key.Alg.AEAD(); p.TagSize != 16 || p.KeySize != tokenKeySize || p.NonceSize != tokenNonceSize {
			t.Fatalf("%+v", p)
		}
		list := must(b.ResourceServers())
		if len(list) != 2 || list[0].Lifetime != time.Hour || list[1].Lifetime != DefaultTokenLifetime {
			t.Fatalf("%+v", list)
		}
	})
	t.Run("audiences are unique, and what cannot be is refused", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		_, err := b.RegisterRS(t.Context(), RSRequest{Audience: "gm1", URI: "coap://x"})
		wantErr(t, err, ErrExists)
		for _, q := range []RSRequest{
			{URI: "coap://x"}, {Audience: "x"}, {Audience: "x", URI: "coap://x", Lifetime: time.Second},
			{Audience: "x", URI: "coap://x", Lifetime: 367 * 24 * time.Hour}, {Audience: "x y", URI: "coap://x"},
		} {
			_, err := b.RegisterRS(t.Context(), q)
			wantErr(t, err, ErrInvalid)
		}
		_, err = b.TrustedAS("gm2")
		wantErr(t, err, ErrNotFound)
	})
	t.Run("KG-SCOPE-06,KO-SCOPE-08 the scope claim is extended where that is asked for", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		gm2 := must(b.RegisterRS(t.Context(), RSRequest{Audience: "gm2", URI: "coap://127.0.0.2", ExtendedScope: true}))
		if err := b.SetGrants(t.Context(), "lamp", []Grant{{Audience: "gm2", Group: "g", Roles: 2}}); err != nil {
			t.Fatal(err)
		}
		resp := must(b.Issue(t.Context(), b.peer(b.lamp), &ace.TokenRequest{Audience: "gm2", GrantType: ace.GrantClientCredentials}))
		if c := must(ace.OpenToken(resp.AccessToken, gm2.Key)); !c.ExtendedScope {
			t.Fatalf("%+v", c)
		}
	})
}

func TestRotateRSKey(t *testing.T) {
	t.Parallel()
	t.Run("the new key seals at once, the one before opens until the last token it sealed has ended", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		old, _ := b.issue(t, b.lamp, room1(ace.RoleResponder))
		file := must(b.RotateRSKey(t.Context(), "gm1", 0))
		list := must(b.TrustedAS("gm1"))
		if len(list) != 2 || len(file.Trusted) != 1 || !file.Trusted[0].Key.Key.Equal(list[0].Key.Key.Bytes()) || !list[1].Key.Key.Equal(b.gm.Key.Key.Bytes()) {
			t.Fatalf("%d keys", len(list))
		}
		resp := must(b.Issue(t.Context(), b.peer(b.lamp), room1(ace.RoleResponder)))
		must(ace.OpenToken(resp.AccessToken, list[0].Key))
		must(ace.OpenToken(old.AccessToken, list[1].Key))
		b.clock.Advance(time.Hour)
		if list := must(b.TrustedAS("gm1")); len(list) != 1 || list[0].Key.Key.Equal(b.gm.Key.Key.Bytes()) {
			t.Fatalf("%d keys after the end", len(list))
		}
	})
	t.Run("with an overlap it opens before it seals, so that the resource server can be told", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		must(b.RotateRSKey(t.Context(), "gm1", 10*time.Minute))
		resp := must(b.Issue(t.Context(), b.peer(b.lamp), room1(ace.RoleResponder)))
		must(ace.OpenToken(resp.AccessToken, b.gm.Key))
		list := must(b.TrustedAS("gm1"))
		if len(list) != 2 {
			t.Fatalf("%d keys", len(list))
		}
		b.clock.Advance(10 * time.Minute)
		resp = must(b.Issue(t.Context(), b.peer(b.lamp), room1(ace.RoleResponder)))
		must(ace.OpenToken(resp.AccessToken, list[0].Key))
		b.clock.Advance(59 * time.Minute)
		if len(must(b.TrustedAS("gm1"))) != 2 {
			t.Fatal("the key before ended too early")
		}
		b.clock.Advance(time.Minute)
		if len(must(b.TrustedAS("gm1"))) != 1 {
			t.Fatal("the key before does not end")
		}
	})
	t.Run("keys are bounded, told apart, and kept", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		kids := map[string]bool{string(b.gm.Key.KID): true}
		for range maxRSKeys - 1 {
			kids[string(must(b.RotateRSKey(t.Context(), "gm1", 0)).Trusted[0].Key.KID)] = true
		}
		_, err := b.RotateRSKey(t.Context(), "gm1", 0)
		wantErr(t, err, ErrInvalid)
		b.restart(t)
		if len(kids) != maxRSKeys || len(must(b.TrustedAS("gm1"))) != maxRSKeys {
			t.Fatalf("%d identifiers", len(kids))
		}
		b.clock.Advance(2 * time.Hour)
		must(b.RotateRSKey(t.Context(), "gm1", 0))
		for _, d := range []time.Duration{-1, maxOverlap + 1} {
			_, err := b.RotateRSKey(t.Context(), "gm1", d)
			wantErr(t, err, ErrInvalid)
		}
		_, err = b.RotateRSKey(t.Context(), "gm9", 0)
		wantErr(t, err, ErrNotFound)
	})
}

func TestTokenNonce(t *testing.T) {
	t.Parallel()
	random := make([]byte, 8)
	a, b := must(tokenNonce(1, random)), must(tokenNonce(maxNonces, random))
	if len(a) != tokenNonceSize || len(b) != tokenNonceSize || string(a) == string(b) {
		t.Fatalf("%x, %x", a, b)
	}
	for _, n := range []uint64{0, maxNonces + 1} {
		if _, err := tokenNonce(n, random); err == nil {
			t.Fatal("accepted", n)
		}
	}
}
