package cose

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"strings"
	"testing"
	"testing/iotest"
)

func TestECDHAgainstExchanges(t *testing.T) {
	t.Parallel()
	for i, v := range loadExchanges(t).SharedSecrets {
		own, err := ParseCredential(FormatCCS, unhex(t, v.Own))
		if err != nil {
			t.Fatal(err)
		}
		peer, err := ParseCredential(FormatCCS, unhex(t, v.Peer))
		if err != nil {
			t.Fatal(err)
		}
		crv := own.PublicKey().Curve()
		t.Run(fmt.Sprintf("GO-2.5.1-5,GO-2.5.1-6,GO-10-10,GO-10-11 %d %v %s", i, crv, v.Source), func(t *testing.T) {
			k, err := NewPrivateKey(crv, unhex(t, v.PrivateKey))
			if err != nil {
				t.Fatal(err)
			}
			if !k.Public().Equal(own.PublicKey()) {
				t.Error("the private key is not that of the credential")
			}
			z, err := k.ECDH(peer.PublicKey())
			if err != nil || !z.Equal(unhex(t, v.Secret)) {
				t.Errorf("%x %v, want %s", []byte(z), err, v.Secret)
			}
		})
	}
}

func TestECDHWycheproof(t *testing.T) {
	t.Parallel()
	type vector struct {
		ID                               int
		Comment, Public, Private, Shared string
		Result                           string
		Zero                             bool
	}
	for _, f := range []struct {
		file string
		crv  Curve
	}{{"ecdh_secp256r1", CurveP256}, {"ecdh_secp384r1", CurveP384}, {"ecdh_secp521r1", CurveP521}, {"x25519", CurveX25519}} {
		var cases []vector
		loadJSON(t, "wycheproof/"+f.file+".json", &cases)
		for _, c := range cases {
			t.Run(fmt.Sprintf("%v %d %s", f.crv, c.ID, c.Comment), func(t *testing.T) {
				z, err := vectorECDH(t, f.crv, unhex(t, c.Private), unhex(t, c.Public))
				if c.Result == "invalid" || c.Zero {
					if !errors.Is(err, ErrKey) {
						t.Errorf("%x, %v", z, err)
					}
				} else if err != nil || !bytes.Equal(z, unhex(t, c.Shared)) {
					t.Errorf("%x, %v, want %s", z, err, c.Shared)
				}
			})
		}
	}
}

// vectorECDH runs a vector, whose private scalar may have another length and whose
// public point may be compressed.
func vectorECDH(t *testing.T, crv Curve, d, point []byte) ([]byte, error) {
	size := crv.size()
	x, y := point, []byte(nil)
	if crv.KeyType() == KeyTypeEC2 {
		d = new(big.Int).SetBytes(d).FillBytes(make([]byte, size))
		switch {
		case len(point) == 1+size && (point[0] == 2 || point[0] == 3):
			x, y = point[1:], decompress(crv, point[1:], point[0] == 3)
		case len(point) == 1+2*size && point[0] == 4:
			x, y = point[1:1+size], point[1+size:]
		default:
			return nil, ErrKey
		}
	}
	k, err := NewPrivateKey(crv, d)
	if err != nil {
		t.Fatal(err)
	}
	peer, err := NewPublicKey(crv, x, y)
	if err != nil {
		return nil, err
	}
	return k.ECDH(peer)
}

func TestECDHRules(t *testing.T) {
	t.Parallel()
	for _, crv := range supportedCurves {
		a, b := newKey(t, crv, 1), newKey(t, crv, 2)
		t.Run(fmt.Sprintf("%v both sides agree", crv), func(t *testing.T) {
			z1, err1 := a.ECDH(b.Public())
			z2, err2 := b.ECDH(a.Public())
			if err1 != nil || err2 != nil || !z1.Equal(z2) || len(z1) != crv.agreementCurve().size() {
				t.Errorf("%v %v, %d bytes", err1, err2, len(z1))
			}
		})
		t.Run(fmt.Sprintf("%v another curve is refused", crv), func(t *testing.T) {
			for _, o := range supportedCurves {
				if o == crv {
					continue
				}
				if _, err := a.ECDH(newKey(t, o, 1).Public()); !errors.Is(err, ErrKey) {
					t.Errorf("%v: %v", o, err)
				}
			}
			if _, err := a.ECDH(nil); !errors.Is(err, ErrKey) {
				t.Errorf("no key: %v", err)
			}
		})
	}
	t.Run("X25519 points of small order are refused", func(t *testing.T) {
		for _, u := range []string{
			"0000000000000000000000000000000000000000000000000000000000000000",
			"0100000000000000000000000000000000000000000000000000000000000000",
			"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
			"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		} {
			if k, err := NewPublicKey(CurveX25519, unhex(t, u), nil); !errors.Is(err, ErrKey) || k != nil {
				t.Errorf("%s: %v", u, err)
			}
		}
	})
}

func TestNewPrivateKey(t *testing.T) {
	t.Parallel()
	for _, v := range loadExchanges(t).Credentials {
		t.Run(fmt.Sprintf("%v of %s", v.Crv, v.Source), func(t *testing.T) {
			k, err := NewPrivateKey(v.Crv, unhex(t, v.PrivateKey))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(k.Public().X(), unhex(t, v.X)) || !bytes.Equal(k.Public().Y(), unhex(t, v.Y)) {
				t.Errorf("public key is %x %x", k.Public().X(), k.Public().Y())
			}
			if !k.Secret().Equal(unhex(t, v.PrivateKey)) {
				t.Error("Secret is not what the key was made from")
			}
		})
	}
	for _, crv := range supportedCurves {
		t.Run(fmt.Sprintf("%v wrong sizes", crv), func(t *testing.T) {
			for _, n := range []int{0, crv.size() - 1, crv.size() + 1, 2 * crv.size()} {
				if k, err := NewPrivateKey(crv, bytes.Repeat([]byte{1}, n)); !errors.Is(err, ErrKey) || k != nil {
					t.Errorf("%d bytes: %v", n, err)
				}
			}
		})
		if crv.KeyType() == KeyTypeEC2 {
			t.Run(fmt.Sprintf("%v out of range", crv), func(t *testing.T) {
				n := crv.elliptic().Params().N
				for _, d := range []*big.Int{new(big.Int), n, new(big.Int).Add(n, big.NewInt(1))} {
					if _, err := NewPrivateKey(crv, d.FillBytes(make([]byte, crv.size()))); !errors.Is(err, ErrKey) {
						t.Errorf("%x: %v", d, err)
					}
				}
				if _, err := NewPrivateKey(crv, new(big.Int).Sub(n, big.NewInt(1)).FillBytes(make([]byte, crv.size()))); err != nil {
					t.Errorf("n-1: %v", err)
				}
			})
		}
	}
	t.Run("unsupported curves", func(t *testing.T) {
		for _, crv := range []Curve{0, 8, 99} {
			if _, err := NewPrivateKey(crv, make([]byte, 32)); !errors.Is(err, ErrUnsupportedKey) {
				t.Errorf("%v: %v", crv, err)
			}
			if _, err := GenerateKey(crv, nil); !errors.Is(err, ErrUnsupportedKey) {
				t.Errorf("%v: %v", crv, err)
			}
		}
	})
	t.Run("the caller's bytes are copied", func(t *testing.T) {
		d := bytes.Repeat([]byte{7}, 32)
		k, err := NewPrivateKey(CurveEd25519, d)
		if err != nil {
			t.Fatal(err)
		}
		clear(d)
		s := k.Secret()
		if !s.Equal(bytes.Repeat([]byte{7}, 32)) {
			t.Error("clearing the input changed the key")
		}
		s.Wipe()
		if k.Secret().Equal(s) {
			t.Error("wiping the copy changed the key")
		}
	})
}

func TestGenerateKey(t *testing.T) {
	t.Parallel()
	for _, crv := range supportedCurves {
		t.Run(crv.String(), func(t *testing.T) {
			a, errA := GenerateKey(crv, nil)
			b, errB := GenerateKey(crv, nil)
			if errA != nil || errB != nil || a.Public().Equal(b.Public()) {
				t.Errorf("%v %v", errA, errB)
			}
			seed := bytes.Repeat([]byte{0x5a, 0x01, 0x77}, 100)
			c, errC := GenerateKey(crv, bytes.NewReader(seed))
			d, errD := GenerateKey(crv, bytes.NewReader(seed))
			if errC != nil || errD != nil || !c.Public().Equal(d.Public()) {
				t.Errorf("%v %v: the same randomness gives different keys", errC, errD)
			}
		})
	}
	t.Run("a candidate out of range is followed by another", func(t *testing.T) {
		n := CurveP256.elliptic().Params().N.FillBytes(make([]byte, 32))
		good := bytes.Repeat([]byte{3}, 32)
		k, err := GenerateKey(CurveP256, io.MultiReader(bytes.NewReader(n), bytes.NewReader(good)))
		if err != nil || !k.Secret().Equal(good) {
			t.Error(err)
		}
	})
	t.Run("a source that gives nothing useful is given up", func(t *testing.T) {
		if _, err := GenerateKey(CurveP384, bytes.NewReader(make([]byte, 10000))); !errors.Is(err, ErrKey) {
			t.Error(err)
		}
	})
	t.Run("errors of the source are passed on", func(t *testing.T) {
		cause := errors.New("no entropy")
		if _, err := GenerateKey(CurveEd25519, iotest.ErrReader(cause)); !errors.Is(err, cause) {
			t.Error(err)
		}
	})
}

func TestSign(t *testing.T) {
	t.Parallel()
	for i, v := range loadExchanges(t).Signatures {
		if v.Alg != AlgEdDSA {
			continue
		}
		t.Run(fmt.Sprintf("%d %v %s", i, v.Alg, v.Source), func(t *testing.T) {
			k, err := NewPrivateKey(CurveEd25519, unhex(t, v.PrivateKey))
			if err != nil {
				t.Fatal(err)
			}
			sig, err := k.Sign(v.Alg, unhex(t, v.TBS))
			if err != nil || !bytes.Equal(sig, unhex(t, v.Signature)) {
				t.Errorf("%x %v, want %s", sig, err, v.Signature)
			}
		})
	}
	t.Run("GO-10-8 ECDSA mixes fresh randomness into each signature", func(t *testing.T) {
		k := newKey(t, CurveP256, 1)
		a, errA := k.Sign(AlgES256, []byte("m"))
		b, errB := k.Sign(AlgES256, []byte("m"))
		if errA != nil || errB != nil || bytes.Equal(a[:32], b[:32]) {
			t.Errorf("%v %v", errA, errB)
		}
	})
	t.Run("GO-14.16-4 Ed25519 signs the message itself, not a hash of it", func(t *testing.T) {
		// RFC 8032, Section 7.1, test 3
		k, err := NewPrivateKey(CurveEd25519, unhex(t, "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7"))
		if err != nil {
			t.Fatal(err)
		}
		sig, err := k.Sign(AlgEdDSA, unhex(t, "af82"))
		want := unhex(t, "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a")
		if err != nil || !bytes.Equal(sig, want) {
			t.Errorf("%x %v", sig, err)
		}
	})
	t.Run("GO-2.4-8 X25519 keys do not sign", func(t *testing.T) {
		if _, err := newKey(t, CurveX25519, 1).Sign(AlgEdDSA, nil); !errors.Is(err, ErrAlgorithm) {
			t.Error(err)
		}
	})
}

func TestPrivateKeyIsRedacted(t *testing.T) {
	t.Parallel()
	for _, crv := range supportedCurves {
		d := bytes.Repeat([]byte{0x41}, crv.size())
		if crv == CurveP521 {
			d[0] = 0
		}
		k, err := NewPrivateKey(crv, d)
		if err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		slog.New(slog.NewJSONHandler(&log, nil)).Info("key", "key", k)
		js, err := json.Marshal(k)
		if err != nil {
			t.Fatal(err)
		}
		for how, s := range map[string]string{
			"%v": fmt.Sprintf("%v", k), "%+v": fmt.Sprintf("%+v", k), "%#v": fmt.Sprintf("%#v", k), "%x": fmt.Sprintf("%x", k), "%s": fmt.Sprintf("%s", k),
			"by value": fmt.Sprintf("%+v", *k), "in a struct": fmt.Sprintf("%+v", struct{ K *PrivateKey }{k}), "value in a struct": fmt.Sprintf("%#v", struct{ K PrivateKey }{*k}), "slog": log.String(), "json": string(js),
		} {
			t.Run(fmt.Sprintf("OS-12.6-2 %v %s", crv, how), func(t *testing.T) {
				if !strings.Contains(s, "[redacted]") || strings.Contains(s, "AAAAAAAA") || strings.Contains(s, "41414141") || strings.Contains(s, "65 65 65 65") {
					t.Error(s)
				}
			})
		}
	}
}

func TestPrivateKeyInUnexportedFields(t *testing.T) {
	t.Parallel()
	k, err := NewPrivateKey(CurveEd25519, bytes.Repeat([]byte{0x41}, 32))
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%s", "%d"} {
		t.Run("OS-12.6-2 "+verb, func(t *testing.T) {
			for _, holder := range []any{struct{ k *PrivateKey }{k}, &struct{ k PrivateKey }{*k}, []PrivateKey{*k}, PrivateKey{}} {
				s := fmt.Sprintf(verb, holder)
				if strings.Contains(s, "AAAAAAAA") || strings.Contains(s, "41414141") || strings.Contains(s, "65 65 65 65") || strings.Contains(s, "0x41, 0x41") {
					t.Error(s)
				}
			}
		})
	}
}

func BenchmarkSign(b *testing.B) {
	msg := make([]byte, 200)
	for _, alg := range []Algorithm{AlgEdDSA, AlgES256} {
		k := newKey(b, alg.signatureCurves()[0], 1)
		b.Run(alg.String(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = k.Sign(alg, msg)
			}
		})
	}
}
