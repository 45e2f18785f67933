package cose

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"testing"

	"filippo.io/edwards25519"
	"pgregory.net/rapid"
)

// stdVerifier is the standard library behind the seam: the reference.
type stdVerifier []byte

func (v stdVerifier) verify(msg, sig []byte) bool {
	return ed25519.Verify(ed25519.PublicKey(v), msg, sig)
}

var _ = []ed25519Verifier{stdVerifier{}, voiPlain{}, voiExpanded{}}

func TestVerifyWycheproof(t *testing.T) {
	t.Parallel()
	type vector struct {
		ID                           int
		Comment, Key, X, Y, Msg, Sig string
		Result                       string
	}
	for _, f := range []struct {
		file string
		crv  Curve
		alg  Algorithm
	}{
		{"ed25519", CurveEd25519, AlgEdDSA},
		{"ecdsa_secp256r1_sha256", CurveP256, AlgES256},
		{"ecdsa_secp384r1_sha384", CurveP384, AlgES384},
		{"ecdsa_secp521r1_sha512", CurveP521, AlgES512},
	} {
		var cases []vector
		loadJSON(t, "wycheproof/"+f.file+".json", &cases)
		for _, c := range cases {
			t.Run(fmt.Sprintf("%v %d %s", f.alg, c.ID, c.Comment), func(t *testing.T) {
				x, y := unhex(t, c.X), unhex(t, c.Y)
				if f.crv == CurveEd25519 {
					x, y = unhex(t, c.Key), nil
				}
				k, err := NewPublicKey(f.crv, x, y)
				if err != nil {
					t.Fatal(err)
				}
				for i := range 3 { // the third time with an expanded key
					err := k.Verify(f.alg, unhex(t, c.Msg), unhex(t, c.Sig))
					switch c.Result {
					case "valid":
						if err != nil {
							t.Errorf("%d: %v", i, err)
						}
					case "invalid":
						if !errors.Is(err, ErrSignature) {
							t.Errorf("%d: %v", i, err)
						}
					}
				}
			})
		}
	}
}

func TestVerifyAgainstExchanges(t *testing.T) {
	t.Parallel()
	for i, v := range loadExchanges(t).Signatures {
		t.Run(fmt.Sprintf("GO-3.1-3 %d %v %s", i, v.Alg, v.Source), func(t *testing.T) {
			c, err := ParseCredential(FormatCCS, unhex(t, v.Cred))
			if err != nil {
				t.Fatal(err)
			}
			tbs, sig := unhex(t, v.TBS), unhex(t, v.Signature)
			if err := c.PublicKey().Verify(v.Alg, tbs, sig); err != nil {
				t.Error(err)
			}
			tbs[len(tbs)-1] ^= 1
			if err := c.PublicKey().Verify(v.Alg, tbs, sig); !errors.Is(err, ErrSignature) {
				t.Errorf("a changed ciphertext verifies: %v", err)
			}
		})
	}
}

func TestVerifyRules(t *testing.T) {
	t.Parallel()
	msg := []byte("message")
	for _, c := range []struct {
		alg  Algorithm
		crv  Curve
		size int
	}{
		{AlgEdDSA, CurveEd25519, 64}, {AlgEd25519, CurveEd25519, 64},
		{AlgEdDSA, CurveEd448, 114}, {AlgEd448, CurveEd448, 114},
		{AlgES256, CurveP256, 64}, {AlgESP256, CurveP256, 64},
		{AlgES384, CurveP384, 96}, {AlgESP384, CurveP384, 96},
		{AlgES512, CurveP521, 132}, {AlgESP512, CurveP521, 132},
	} {
		k := newKey(t, c.crv, 1)
		sig, err := k.Sign(c.alg, msg)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(fmt.Sprintf("GO-10-6,GO-10-7 %v signs and verifies on %v", c.alg, c.crv), func(t *testing.T) {
			if n, err := k.Public().SignatureSize(c.alg); err != nil || n != c.size || len(sig) != c.size {
				t.Errorf("size %d, %v; signature of %d", n, err, len(sig))
			}
			if err := k.Public().Verify(c.alg, msg, sig); err != nil {
				t.Error(err)
			}
			if err := newKey(t, c.crv, 2).Public().Verify(c.alg, msg, sig); !errors.Is(err, ErrSignature) {
				t.Errorf("another key: %v", err)
			}
		})
		t.Run(fmt.Sprintf("%v bits of the signature count", c.alg), func(t *testing.T) {
			step := 1
			if c.crv != CurveEd25519 {
				step = 61 // verification is slow; 61 is prime to the sizes
			}
			for i := 0; i < len(sig)*8; i += step {
				sig[i/8] ^= 1 << (i % 8)
				if err := k.Public().Verify(c.alg, msg, sig); !errors.Is(err, ErrSignature) {
					t.Fatalf("bit %d: %v", i, err)
				}
				sig[i/8] ^= 1 << (i % 8)
			}
		})
		t.Run(fmt.Sprintf("%v other lengths are refused", c.alg), func(t *testing.T) {
			for _, s := range [][]byte{nil, {}, sig[:len(sig)-1], append(bytes.Clone(sig), 0), make([]byte, len(sig))} {
				if err := k.Public().Verify(c.alg, msg, s); !errors.Is(err, ErrSignature) {
					t.Errorf("%d bytes: %v", len(s), err)
				}
			}
		})
		t.Run(fmt.Sprintf("%v on another curve is refused", c.alg), func(t *testing.T) {
			for _, crv := range supportedCurves {
				if crv == c.crv || c.alg == AlgEdDSA && crv.agreementCurve() != crv { // EdDSA leaves it to the key
					continue
				}
				o := newKey(t, crv, 1)
				if _, err := o.Sign(c.alg, msg); !errors.Is(err, ErrAlgorithm) {
					t.Errorf("Sign: %v", err)
				}
				if err := o.Public().Verify(c.alg, msg, sig); !errors.Is(err, ErrAlgorithm) {
					t.Errorf("Verify: %v", err)
				}
				if _, err := o.Public().SignatureSize(c.alg); !errors.Is(err, ErrAlgorithm) {
					t.Errorf("SignatureSize: %v", err)
				}
			}
		})
	}
	t.Run("what is no signature algorithm is refused", func(t *testing.T) {
		k := newKey(t, CurveP256, 1).Public()
		for _, alg := range []Algorithm{0, 10, -27, -999} {
			if err := k.Verify(alg, msg, make([]byte, 64)); !errors.Is(err, ErrAlgorithm) {
				t.Errorf("%v: %v", alg, err)
			}
		}
	})
	t.Run("a key that restricts itself is held to it", func(t *testing.T) {
		k := newKey(t, CurveEd25519, 1)
		sig, err := k.Sign(AlgEdDSA, msg)
		if err != nil {
			t.Fatal(err)
		}
		x := fmt.Sprintf("%x", k.Public().X())
		for key, want := range map[string]error{
			"a4 01 01 03 27 20 06 21 5820" + x:       nil,          // alg EdDSA
			"a4 01 01 03 32 20 06 21 5820" + x:       nil,          // alg Ed25519, the same algorithm
			"a4 01 01 03 26 20 06 21 5820" + x:       ErrAlgorithm, // alg ES256
			"a4 01 01 03 381a 20 06 21 5820" + x:     ErrAlgorithm, // alg ECDH-SS + HKDF-256
			"a4 01 01 04 8102 20 06 21 5820" + x:     nil,          // key_ops verify
			"a4 01 01 04 82 02 07 20 06 21 5820" + x: nil,          // key_ops verify, derive key
			"a4 01 01 04 8107 20 06 21 5820" + x:     ErrKey,       // key_ops derive key
		} {
			p, err := ParsePublicKey(unhex(t, key))
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Verify(AlgEdDSA, msg, sig); !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", key, err, want)
			}
		}
	})
}

// allVerifiers returns the implementations to compare, for a key that a credential
// could carry or not.
func allVerifiers(t interface{ Fatal(...any) }, key []byte) []ed25519Verifier {
	v := []ed25519Verifier{stdVerifier(key), voiPlain(key)}
	if e, ok := expandEd25519(key); ok {
		v = append(v, e)
	}
	return v
}

func agree(t interface {
	Fatal(...any)
	Fatalf(string, ...any)
}, key, msg, sig []byte) bool {
	all := allVerifiers(t, key)
	want := all[0].verify(msg, sig)
	for _, v := range all[1:] {
		if got := v.verify(msg, sig); got != want {
			t.Fatalf("%T says %v, the standard library %v: key %x, message %x, signature %x", v, got, want, key, msg, sig)
		}
	}
	return want
}

// TestEd25519EdgeCases has every implementation judge signatures that are put
// together from small-order and non-canonical points and scalars around the group order.
func TestEd25519EdgeCases(t *testing.T) {
	t.Parallel()
	order := unhex(t, "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010")
	scalars := [][]byte{make([]byte, 32), order, bytes.Repeat([]byte{0xff}, 32)}
	for _, d := range []int{-1, 1} {
		s := bytes.Clone(order)
		s[0] = byte(int(s[0]) + d)
		scalars = append(scalars, s)
	}
	one := make([]byte, 32)
	one[0] = 1
	scalars = append(scalars, one)
	honest := newKey(t, CurveEd25519, 1).Public().X()
	points := [][]byte{honest, edwards25519.NewGeneratorPoint().Bytes()}
	for _, s := range smallOrder {
		points = append(points, unhex(t, s))
	}
	good := 0
	for _, a := range points {
		for _, r := range points {
			for _, s := range scalars {
				for m := range 4 {
					if agree(t, a, []byte{byte(m)}, append(bytes.Clone(r), s...)) {
						good++
					}
				}
			}
		}
	}
	if good == 0 {
		t.Error("no signature was accepted: the cases are too weak")
	}
}

func TestEd25519VerifiersAgree(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		key := ed25519.NewKeyFromSeed(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "seed"))
		msg := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "msg")
		sig := ed25519.Sign(key, msg)
		pub := []byte(key.Public().(ed25519.PublicKey))
		if !agree(t, pub, msg, sig) {
			t.Fatal("an honest signature is refused")
		}
		bit := rapid.IntRange(0, 511).Draw(t, "bit")
		sig[bit/8] ^= 1 << (bit % 8)
		if agree(t, pub, msg, sig) {
			t.Fatal("a flipped bit is accepted")
		}
	})
}

func FuzzVerifyEd25519(f *testing.F) {
	key := ed25519.NewKeyFromSeed(make([]byte, 32))
	f.Add([]byte(key.Public().(ed25519.PublicKey)), []byte("message"), ed25519.Sign(key, []byte("message")))
	for _, s := range smallOrder {
		f.Add(unhex(f, s), []byte{}, append(unhex(f, smallOrder[0]), make([]byte, 32)...))
	}
	f.Fuzz(func(t *testing.T, pub, msg, sig []byte) {
		if len(pub) == 32 {
			agree(t, pub, msg, sig)
		}
	})
}

func TestVerifyDoesNotAllocate(t *testing.T) {
	k := newKey(t, CurveEd25519, 1)
	msg := make([]byte, 200)
	sig, err := k.Sign(AlgEdDSA, msg)
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(50, func() { _ = k.Public().Verify(AlgEdDSA, msg, sig) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkVerify(b *testing.B) {
	msg := make([]byte, 200)
	for _, alg := range []Algorithm{AlgEdDSA, AlgES256} {
		k := newKey(b, alg.signatureCurves()[0], 1)
		sig, _ := k.Sign(alg, msg)
		b.Run(alg.String(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if k.Public().Verify(alg, msg, sig) != nil {
					b.Fatal()
				}
			}
		})
	}
}
