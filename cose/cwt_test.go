package cose

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/cohort-iot/cohort/internal/cborx"
)

func TestCWT(t *testing.T) {
	t.Parallel()
	issuer := newKey(t, CurveP384, 9)
	for _, crv := range supportedCurves {
		pub := newKey(t, crv, 1).Public()
		made, err := NewCWT("lamp", pub, AlgES384, issuer)
		if err != nil {
			t.Fatal(err)
		}
		raw := made.Bytes()
		for name, prefix := range map[string]string{
			"untagged": "", "COSE_Sign1": "d2", "CWT": "d83d d2", "tags with long heads": "d9003d d812",
		} {
			t.Run(fmt.Sprintf("GO-2.4-3,GO-2.4-5,GO-2.4-6,GO-2.4-8 %v %s", crv, name), func(t *testing.T) {
				got, err := ParseCredential(FormatCWT, append(unhex(t, prefix), raw...))
				if err != nil {
					t.Fatal(err)
				}
				if !got.Equal(made) || !bytes.Equal(got.Bytes(), raw) || got.Format() != FormatCWT {
					t.Errorf("%x, want %x", got.Bytes(), raw)
				}
				if !got.PublicKey().Equal(pub) || got.Subject() != "lamp" {
					t.Errorf("%v %q", got.PublicKey().Curve(), got.Subject())
				}
				if sub, err := cborx.Text(got.Claim(claimSub)); err != nil || sub != "lamp" {
					t.Errorf("%q %v", sub, err)
				}
				// what the issuer signed can be verified by whoever knows its key
				m, err := ParseSign1(got.Bytes())
				if err != nil || m.Verify(issuer.Public(), nil) != nil {
					t.Error(err)
				}
			})
		}
	}
	t.Run("nonsense is refused", func(t *testing.T) {
		if _, err := NewCWT("x", nil, AlgES384, issuer); !errors.Is(err, ErrCredential) {
			t.Error(err)
		}
		if _, err := NewCWT("x", issuer.Public(), AlgES256, issuer); !errors.Is(err, ErrAlgorithm) {
			t.Error(err)
		}
	})
}

func TestParseCWT(t *testing.T) {
	t.Parallel()
	pub := newKey(t, CurveEd25519, 1).Public()
	ccs, err := NewCCS("lamp", pub)
	if err != nil {
		t.Fatal(err)
	}
	claims := ccs.Bytes()
	// cwt puts an array together from hexadecimal headers, a payload and a signature.
	cwt := func(headers string, payload []byte, signature string) []byte {
		b := append(unhex(t, "84"+headers), cborx.AppendBytes(nil, payload)...)
		return append(b, unhex(t, signature)...)
	}
	for name, raw := range map[string][]byte{
		"kid in either place":             cwt("43a10126 a1 04 41 01", claims, "41 02"),
		"unknown signature algorithm":     cwt("47a1013a00010000 a0", claims, "41 02"),
		"signature algorithm by name":     cwt("48a101654553323536 a0", claims, "41 02"),
		"RSA signature":                   cwt("45a101390100 a0", claims, "41 02"),
		"certificates of the issuer":      cwt("43a10126 a1 1821 41 30", claims, "41 02"),
		"more claims":                     cwt("43a10126 a0", append(unhex(t, "a4 01 63 6d7921 6178 f6"), claims[1:]...), "41 02"),
		"claims that are not in an order": cwt("43a10126 a0", append(append(unhex(t, "a2"), claims[7:]...), claims[1:7]...), "41 02"),
	} {
		t.Run("GO-2.4-5 taken: "+name, func(t *testing.T) {
			got, err := ParseCredential(FormatCWT, raw)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Bytes(), raw) || !got.PublicKey().Equal(pub) || got.Subject() != "lamp" {
				t.Errorf("%x %q", got.Bytes(), got.Subject())
			}
		})
	}
	good := cwt("43a10126 a0", claims, "41 02")
	key, err := pub.MarshalCBOR()
	if err != nil {
		t.Fatal(err)
	}
	for name, raw := range map[string][]byte{
		"nothing":                        nil,
		"the claims alone":               claims,
		"only tags":                      unhex(t, "d83dd2"),
		"CWT tag without COSE tag":       append(unhex(t, "d83d"), good...),
		"COSE_Mac0":                      append(unhex(t, "d1"), good...),
		"CWT tag around COSE_Mac0":       append(unhex(t, "d83dd1"), good...),
		"COSE_Encrypt0":                  append(unhex(t, "d0"), good...),
		"COSE_Sign":                      append(unhex(t, "d862"), good...),
		"CWT tag twice":                  append(unhex(t, "d83dd83dd2"), good...),
		"COSE tag twice":                 append(unhex(t, "d2d2"), good...),
		"COSE tag around the CWT tag":    append(unhex(t, "d2d83d"), good...),
		"trailing byte":                  append(bytes.Clone(good), 0),
		"cut":                            good[:len(good)-1],
		"as a byte string":               cborx.AppendBytes(nil, good),
		"HMAC, untagged":                 cwt("43a10105 a0", claims, "41 02"),
		"HMAC 256/64, untagged":          cwt("43a10104 a0", claims, "41 02"),
		"AES-CCM":                        cwt("43a1010a a0", claims, "41 02"),
		"key agreement":                  cwt("44a101381a a0", claims, "41 02"),
		"no alg":                         cwt("40 a0", claims, "41 02"),
		"unprotected alg":                cwt("40 a1 01 26", claims, "41 02"),
		"alg is bytes":                   cwt("44a1014126 a0", claims, "41 02"),
		"crit":                           cwt("46a20126028103 a0", claims, "41 02"),
		"header twice":                   cwt("43a10126 a1 01 26", claims, "41 02"),
		"empty signature":                cwt("43a10126 a0", claims, "40"),
		"no payload":                     cwt("43a10126 a0", nil, "41 02"),
		"detached payload":               unhex(t, "84 43a10126 a0 f6 41 02"),
		"payload with a rest":            cwt("43a10126 a0", append(bytes.Clone(claims), 0), "41 02"),
		"payload is tagged":              cwt("43a10126 a0", append(unhex(t, "d90259"), claims...), "41 02"),
		"payload is another CWT":         cwt("43a10126 a0", append(unhex(t, "d2"), good...), "41 02"),
		"payload is a COSE_Key":          cwt("43a10126 a0", key, "41 02"),
		"no cnf":                         cwt("43a10126 a0", unhex(t, "a1 02 61 61"), "41 02"),
		"cnf with a kid":                 cwt("43a10126 a0", unhex(t, "a1 08 a1 03 41 01"), "41 02"),
		"key of small order":             cwt("43a10126 a0", unhex(t, "a1 08 a1 01 a3 01 01 20 06 21 5820"+smallOrder[4]), "41 02"),
		"longer than any credential":     cwt("43a10126 a0", append(unhex(t, "a3 01 5a 00010000"), append(make([]byte, 1<<16), claims[1:]...)...), "41 02"),
		"claims nested deeper than ever": cwt("43a10126 a0", bytes.Repeat([]byte{0xa1, 0x08}, 30), "41 02"),
	} {
		t.Run("refused: "+name, func(t *testing.T) {
			if c, err := ParseCredential(FormatCWT, raw); !errors.Is(err, ErrCredential) || c != nil {
				t.Errorf("%v, %v", c, err)
			}
		})
	}
}

func FuzzParseCWT(f *testing.F) {
	for _, crv := range supportedCurves {
		c, err := NewCWT("lamp", newKey(f, crv, 1).Public(), AlgES256, newKey(f, CurveP256, 2))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(append([]byte{0xd8, 0x3d, 0xd2}, c.Bytes()...))
	}
	f.Fuzz(func(t *testing.T, raw []byte) { checkCredential(t, FormatCWT, raw) })
}
