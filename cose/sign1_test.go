package cose

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"testing"

	veraison "github.com/veraison/go-cose"

	"github.com/cohort-iot/cohort/internal/cborx"
)

// sign1Vector is of RFC 9052, Appendix C.2.1, untagged; its key is "11" of Appendix C.7.
var sign1Vector = struct{ x, y, d, msg string }{
	"bac5b11cad8f99f9c72b05cf4b9e26d244dc189f745228255a219a86d6a09eff",
	"20138bf82dc1b6d562be0fa54ab7804a3a64b6d72ccfed6b6fb6ed28bbfc117e",
	"57c92077664146e876760c9520d054aa93c3afb04e306705db6090308507b4d3",
	"84 43 a10126 a1 04 42 3131 54 546869732069732074686520636f6e74656e742e 5840 8eb33e4ca31d1c465ab05aac34cc6b23d58fef5c083106c4d25a91aef0b0117e2af9a291aa32e14ab834dc56ed2a223444547e01f11d3b0916e5a4c345cacb36",
}

func TestSign1Vector(t *testing.T) {
	t.Parallel()
	v := sign1Vector
	pub, err := NewPublicKey(CurveP256, unhex(t, v.x), unhex(t, v.y))
	if err != nil {
		t.Fatal(err)
	}
	k, err := NewPrivateKey(CurveP256, unhex(t, v.d))
	if err != nil || !k.Public().Equal(pub) {
		t.Fatalf("the key pair does not match: %v", err)
	}
	m, err := ParseSign1(unhex(t, v.msg))
	if err != nil {
		t.Fatal(err)
	}
	if m.Alg != AlgES256 || string(m.KID) != "11" || string(m.Payload) != "This is the content." || m.UnprotectedEmpty {
		t.Errorf("%+v", m)
	}
	if err := m.Verify(pub, nil); err != nil {
		t.Error(err)
	}
	if err := m.Verify(pub, []byte{1}); !errors.Is(err, ErrSignature) {
		t.Errorf("with other external data: %v", err)
	}
	for name, change := range map[string]func(*Sign1){
		"payload":           func(m *Sign1) { m.Payload[0] ^= 1 },
		"protected headers": func(m *Sign1) { m.Protected = unhex(t, "a2012604423131") },
		"signature":         func(m *Sign1) { m.Signature[40] ^= 1 },
	} {
		t.Run("changed "+name, func(t *testing.T) {
			m, err := ParseSign1(unhex(t, v.msg))
			if err != nil {
				t.Fatal(err)
			}
			change(m)
			if err := m.Verify(pub, nil); !errors.Is(err, ErrSignature) {
				t.Error(err)
			}
		})
	}
}

func TestSealSign1(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		alg Algorithm
		crv Curve
	}{
		{AlgEdDSA, CurveEd25519}, {AlgEdDSA, CurveEd448}, {AlgEd25519, CurveEd25519}, {AlgEd448, CurveEd448},
		{AlgES256, CurveP256}, {AlgES384, CurveP384}, {AlgES512, CurveP521}, {AlgESP256, CurveP256}, {AlgESP384, CurveP384}, {AlgESP512, CurveP521},
	} {
		k := newKey(t, c.crv, 1)
		for _, kid := range [][]byte{nil, {}, []byte("key 1")} {
			t.Run(fmt.Sprintf("%v on %v, kid %q", c.alg, c.crv, kid), func(t *testing.T) {
				b, err := SealSign1(c.alg, k, kid, []byte("external"), []byte("payload"))
				if err != nil {
					t.Fatal(err)
				}
				if err := cborx.Deterministic(b); err != nil {
					t.Error(err)
				}
				m, err := ParseSign1(b)
				if err != nil {
					t.Fatal(err)
				}
				if m.Alg != c.alg || !bytes.Equal(m.KID, kid) || (m.KID == nil) != (kid == nil) || string(m.Payload) != "payload" || !m.UnprotectedEmpty {
					t.Errorf("%+v", m)
				}
				if err := m.Verify(k.Public(), []byte("external")); err != nil {
					t.Error(err)
				}
				if err := m.Verify(k.Public(), nil); !errors.Is(err, ErrSignature) {
					t.Errorf("without external data: %v", err)
				}
				if err := m.Verify(newKey(t, c.crv, 2).Public(), []byte("external")); !errors.Is(err, ErrSignature) {
					t.Errorf("another key: %v", err)
				}
			})
		}
	}
	t.Run("algorithm of another curve", func(t *testing.T) {
		if _, err := SealSign1(AlgES256, newKey(t, CurveEd25519, 1), nil, nil, nil); !errors.Is(err, ErrAlgorithm) {
			t.Error(err)
		}
		b, err := SealSign1(AlgEdDSA, newKey(t, CurveEd25519, 1), nil, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		m, err := ParseSign1(b)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Verify(newKey(t, CurveP256, 1).Public(), nil); !errors.Is(err, ErrAlgorithm) {
			t.Error(err)
		}
	})
}

// TestSign1AgainstGoCOSE has each side verify what the other one signed.
func TestSign1AgainstGoCOSE(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		alg   Algorithm
		other veraison.Algorithm
		crv   Curve
	}{
		{AlgEdDSA, veraison.AlgorithmEdDSA, CurveEd25519}, {AlgES256, veraison.AlgorithmES256, CurveP256},
		{AlgES384, veraison.AlgorithmES384, CurveP384}, {AlgES512, veraison.AlgorithmES512, CurveP521},
	} {
		t.Run(fmt.Sprint(c.alg), func(t *testing.T) {
			ours := newKey(t, c.crv, 1)
			signer := newDevice(t, c.crv, 1).Signer
			sign, err := veraison.NewSigner(c.other, signer)
			if err != nil {
				t.Fatal(err)
			}
			verify, err := veraison.NewVerifier(c.other, signer.Public())
			if err != nil {
				t.Fatal(err)
			}
			external := []byte("external")

			b, err := SealSign1(c.alg, ours, []byte("kid"), external, []byte("payload"))
			if err != nil {
				t.Fatal(err)
			}
			var theirs veraison.UntaggedSign1Message
			if err := theirs.UnmarshalCBOR(b); err != nil {
				t.Fatal(err)
			}
			if err := theirs.Verify(external, verify); err != nil || string(theirs.Payload) != "payload" {
				t.Errorf("they do not verify ours: %v", err)
			}

			msg := veraison.UntaggedSign1Message{
				Headers: veraison.Headers{
					Protected:   veraison.ProtectedHeader{veraison.HeaderLabelAlgorithm: c.other},
					Unprotected: veraison.UnprotectedHeader{veraison.HeaderLabelKeyID: []byte("kid")},
				},
				Payload: []byte("payload"),
			}
			if err := msg.Sign(rand.Reader, external, sign); err != nil {
				t.Fatal(err)
			}
			if b, err = msg.MarshalCBOR(); err != nil {
				t.Fatal(err)
			}
			m, err := ParseSign1(b)
			if err != nil {
				t.Fatal(err)
			}
			if err := m.Verify(ours.Public(), external); err != nil || string(m.KID) != "kid" {
				t.Errorf("we do not verify theirs: %v", err)
			}
		})
	}
}

func TestParseSign1Refuses(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]string{
		"nothing":                    "",
		"tagged":                     "d2 84 43a10126 a0 41 01 41 02",
		"CWT tag":                    "d83d d2 84 43a10126 a0 41 01 41 02",
		"three elements":             "83 43a10126 a0 41 01",
		"five elements":              "85 43a10126 a0 41 01 41 02 40",
		"a map":                      "a0",
		"trailing byte":              "84 43a10126 a0 41 01 41 02 00",
		"indefinite length":          "9f 43a10126 a0 41 01 41 02 ff",
		"no alg":                     "84 40 a0 41 01 41 02",
		"no alg, empty map":          "84 41a0 a0 41 01 41 02",
		"unprotected alg":            "84 40 a1 01 26 41 01 41 02",
		"text alg":                   "84 48a101654553323536 a0 41 01 41 02",
		"alg twice":                  "84 43a10126 a1 01 26 41 01 41 02",
		"kid twice":                  "84 46a20126044101 a1 04 41 01 41 01 41 02",
		"text kid":                   "84 43a10126 a1 04 61 61 41 01 41 02",
		"crit":                       "84 48a3012602810303 00 a0 41 01 41 02",
		"crit alone":                 "84 46a20126028101 a0 41 01 41 02",
		"unprotected crit":           "84 43a10126 a1 02 8101 41 01 41 02",
		"content type":               "84 45a201260300 a0 41 01 41 02",
		"text label":                 "84 43a10126 a1 6161 00 41 01 41 02",
		"boolean label":              "84 43a10126 a1 f5 00 41 01 41 02",
		"duplicate protected":        "84 45a201260126 a0 41 01 41 02",
		"protected not a map":        "84 4101 a0 41 01 41 02",
		"protected with a rest":      "84 44a1012600 a0 41 01 41 02",
		"protected not bytes":        "84 a10126 a0 41 01 41 02",
		"unprotected not a map":      "84 43a10126 80 41 01 41 02",
		"detached payload":           "84 43a10126 a0 f6 41 02",
		"text payload":               "84 43a10126 a0 61 61 41 02",
		"text signature":             "84 43a10126 a0 41 01 61 61",
		"null signature":             "84 43a10126 a0 41 01 f6",
		"the payload has a tag":      "84 43a10126 a0 d818 41 01 41 02",
		"signatures of a COSE_Sign":  "84 43a10126 a0 41 01 81 83 40 a0 41 02",
		"unprotected map with a tag": "84 43a10126 d83d a0 41 01 41 02",
	} {
		t.Run(name, func(t *testing.T) {
			if m, err := ParseSign1(unhex(t, s)); !errors.Is(err, ErrMessage) || m != nil {
				t.Errorf("%+v, %v", m, err)
			}
		})
	}
	t.Run("the caller's bytes are copied", func(t *testing.T) {
		b := unhex(t, sign1Vector.msg)
		m, err := ParseSign1(b)
		if err != nil {
			t.Fatal(err)
		}
		clear(b)
		if string(m.KID) != "11" || string(m.Payload) != "This is the content." {
			t.Error("changed from outside")
		}
	})
}

func FuzzParseSign1(f *testing.F) {
	f.Add(unhex(f, sign1Vector.msg))
	b, err := SealSign1(AlgEdDSA, newKey(f, CurveEd25519, 1), []byte("kid"), nil, []byte("payload"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	pub := newKey(f, CurveEd25519, 1).Public()
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ParseSign1(b)
		if err != nil {
			if m != nil {
				t.Fatal("a message and an error")
			}
			return
		}
		if m.Verify(pub, nil) == nil && string(m.Payload) != "payload" {
			t.Fatalf("%x verifies", b)
		}
	})
}
