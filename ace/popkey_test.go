package ace

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/secret"
)

func TestPoPKey(t *testing.T) {
	t.Parallel()
	const x = "5820 d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
	t.Run("AC-141 a key has to have all members its type needs; kid is optional", func(t *testing.T) {
		t.Parallel()
		for name, in := range map[string]string{
			"OKP": "a3 01 01 20 06 21 " + x, "OKP with kid": "a4 01 01 02 41 07 20 06 21 " + x,
			"symmetric": "a2 01 04 20 50 000102030405060708090a0b0c0d0e0f",
		} {
			k, err := ParsePoPKey(unhex(in))
			if err != nil || (k.Public == nil) == (k.Symmetric.IsZero()) {
				t.Errorf("%s: %+v, %v", name, k, err)
			}
		}
		for name, in := range map[string]string{
			"no kty": "a2 20 06 21 " + x, "no crv": "a2 01 01 21 " + x, "no x": "a2 01 01 20 06", "no k": "a1 01 04", "short k": "a2 01 04 20 41 00",
			"EC2 without y": "a3 01 02 20 01 21 " + x, "unknown kty": "a1 01 05", "kty by text": "a1 01 61 61", "private": "a4 01 01 20 06 21 " + x + " 23 " + x,
			"empty key_ops": "a4 01 01 04 80 20 06 21 " + x, "alg by text": "a4 01 01 03 61 61 20 06 21 " + x, "no map": "80",
		} {
			if _, err := ParsePoPKey(unhex(in)); !errors.Is(err, ErrPoPKey) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
	t.Run("AC-127 a key is not used against its alg or key_ops", func(t *testing.T) {
		t.Parallel()
		free := must(ParsePoPKey(unhex("a3 01 01 20 06 21 " + x)))
		bound := must(ParsePoPKey(unhex("a5 01 01 03 27 04 81 02 20 06 21 " + x)))
		for _, c := range []struct {
			k    *PoPKey
			alg  cose.Algorithm
			op   KeyOp
			want bool
		}{
			{free, cose.AlgEdDSA, OpVerify, true}, {free, cose.AlgECDHSSHKDF256, OpDeriveKey, true},
			{bound, cose.AlgEdDSA, OpVerify, true}, {bound, cose.AlgEdDSA, OpDeriveKey, false}, {bound, cose.AlgES256, OpVerify, false},
		} {
			if err := c.k.Allows(c.alg, c.op); (err == nil) != c.want || (err != nil && !errors.Is(err, ErrPoPKey)) {
				t.Errorf("%v, %v: %v", c.alg, c.op, err)
			}
		}
	})
	t.Run("AC-038,AC-143 a kid is an index: two different keys may have the same", func(t *testing.T) {
		t.Parallel()
		one := must(ParsePoPKey(unhex("a3 01 04 02 41 07 20 50 000102030405060708090a0b0c0d0e0f")))
		two := must(ParsePoPKey(unhex("a3 01 04 02 41 07 20 50 ff0102030405060708090a0b0c0d0e0f")))
		if !bytes.Equal(one.KID, two.KID) || one.Symmetric.Equal(two.Symmetric.Bytes()) {
			t.Fatal("not told apart")
		}
	})
	t.Run("AC-142 the example of RFC 8747, Section 3.3 decrypts", func(t *testing.T) {
		t.Parallel()
		c := must(parseConfirmation(unhex("a1 02 83 43 a1010a a1 05 4d 636898994ff0ec7bfcf6d3f95b" +
			"5830 0573318a3573eb983e55a7c2f06cadd0796c9e584f1d0e3ea8c5b052592a8b2694be9654f0431f38d5bbc8049fa7f13f")))
		k := must(c.OpenKey(TokenKey{Alg: cose.AlgAESCCM16_64_128, Key: secret.Hide(unhex("6162630405060708090a0b0c0d0e0f10"))}))
		if !bytes.HasPrefix(k.Symmetric.Bytes(), unhex("6684")) || k.Symmetric.Len() != 32 || k.Alg != cose.AlgHMAC256 {
			t.Fatalf("%+v", k)
		}
		for _, wrong := range []TokenKey{{Alg: cose.AlgAESCCM16_64_128, Key: secret.Hide(make([]byte, 16))}, {Alg: cose.AlgA128GCM, Key: secret.Hide(unhex("6162630405060708090a0b0c0d0e0f10"))}} {
			_, err := c.OpenKey(wrong)
			wantErr(t, err, ErrPoPKey)
		}
	})
	t.Run("AC-128 a token whose key does not allow the proof, or has none here, is answered 4.00", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, nil)
		for _, key := range []string{
			"a5 01 01 03 26 04 81 07 20 06 21 " + x, "a3 01 01 20 06 21 " + x, "a1 01 01", "a2 01 04 20 50 000102030405060708090a0b0c0d0e0f",
		} {
			err := b.judged(b.token(func(c *Claims) { c.Cnf = &Confirmation{Key: secret.Hide(unhex(key))} }))
			wantCode(t, err, codes.BadRequest)
			wantErr(t, err, ErrPoPKey)
		}
	})
}

func TestNoAsymmetricProof(t *testing.T) {
	t.Parallel()
	keys := map[string]string{
		"Ed25519": "a3 01 01 20 06 21 5820 d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
		"P-256":   "a4 01 02 20 01 21 5820 143329cce7868e416927599cf65a34f3ce2ffda55a7eca69ed8919a394d42f0f 22 5820 60f7f1a780d8a783bfb7a2dd6b2796e8128dbbcef9d3d168db9529971a36e7b9",
	}
	t.Run("AC-131 of tokens for which a resource server would need a key pair of its own it takes none, in clear or as an update", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, nil)
		for name, key := range keys {
			token := b.token(func(c *Claims) { c.Cnf = &Confirmation{Key: secret.Hide(unhex(key))} })
			err := b.judged(token)
			wantCode(t, err, codes.BadRequest)
			wantErr(t, err, ErrPoPKey)
			current := &Token{Issuer: "coap://as.example.com", Client: "switch", Material: OSCOREInputMaterial{ID: []byte{1}}}
			_, err = b.Update(t.Context(), here, 1, current, (&AuthzInfoRequest{AccessToken: token}).Marshal())
			if wantCode(t, err, codes.Unauthorized); b.PendingCount() != 0 {
				t.Fatal(name)
			}
		}
	})
	t.Run("AC-131 nor does a client learn of such a key pair", func(t *testing.T) {
		t.Parallel()
		for name, key := range keys {
			p := &TokenResponse{AccessToken: []byte{1}, ExpiresIn: time.Hour, RSCnf: &Confirmation{Key: secret.Hide(unhex(key))}}
			if _, err := ParseTokenResponse(p.Marshal()); !errors.Is(err, ErrMalformed) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func FuzzPoPKey(f *testing.F) {
	f.Add(unhex("a3 01 01 20 06 21 5820 d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"))
	f.Add(unhex("a4 01 04 03 05 04 81 09 20 50 000102030405060708090a0b0c0d0e0f"))
	f.Fuzz(func(t *testing.T, in []byte) {
		k, err := ParsePoPKey(in)
		if err == nil && (k.Public == nil) == (k.Symmetric.IsZero()) || err != nil && !errors.Is(err, ErrPoPKey) {
			t.Fatal(k, err)
		}
	})
}
