package cose

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/cohort-iot/cohort/internal/cborx"
)

// TestMadeCertificates makes certificates as a Group Manager does for itself.
func TestMadeCertificates(t *testing.T) {
	t.Parallel()
	begin := time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC)
	signing := map[Curve]Algorithm{CurveEd25519: AlgEdDSA, CurveEd448: AlgEdDSA, CurveP256: AlgES256, CurveP384: AlgES384, CurveP521: AlgES512}
	for crv, alg := range signing {
		key := newKey(t, crv, 3)
		for f, make := range map[CredentialFormat]func() (*Credential, error){
			FormatX5Chain:   func() (*Credential, error) { return NewX509(FormatX5Chain, "gm", key, begin, rand.Reader) },
			FormatX5Bag:     func() (*Credential, error) { return NewX509(FormatX5Bag, "gm", key, begin, nil) },
			FormatC509Chain: func() (*Credential, error) { return NewC509(FormatC509Chain, "gm", key, begin, rand.Reader) },
			FormatC509Bag:   func() (*Credential, error) { return NewC509(FormatC509Bag, "gm", key, begin, nil) },
		} {
			t.Run(fmt.Sprintf("%v %v", f, crv), func(t *testing.T) {
				c, err := make()
				if crv == CurveEd448 && (f == FormatX5Bag || f == FormatX5Chain) {
					if !errors.Is(err, ErrUnsupportedKey) {
						t.Fatal(err)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				again, err := ParseCredential(f, c.Bytes())
				if err != nil || !again.PublicKey().Equal(key.Public()) || again.Subject() != "gm" {
					t.Fatal(again, err)
				}
				if from, to := again.Validity(); !from.Equal(begin) || !to.IsZero() {
					t.Fatal(from, to)
				}
				sig, err := key.Sign(alg, []byte("m"))
				if err != nil {
					t.Fatal(err)
				}
				if err := again.PublicKey().Verify(alg, []byte("m"), sig); err != nil {
					t.Fatal("its key verifies no signatures:", err)
				}
				if other, err := make(); err != nil || bytes.Equal(other.Bytes(), c.Bytes()) {
					t.Fatal("the same serial number again", err)
				}
				selfSigned(t, f, alg, c)
			})
		}
	}
	t.Run("refusals", func(t *testing.T) {
		dh := newKey(t, CurveX25519, 3)
		ed := newKey(t, CurveEd25519, 3)
		for _, x := range []struct {
			want error
			err  error
		}{
			{ErrUnsupportedKey, second(NewX509(FormatX5Chain, "", dh, begin, nil))}, {ErrUnsupportedKey, second(NewC509(FormatC509Chain, "", dh, begin, nil))},
			{ErrCredentialFormat, second(NewX509(FormatC509Bag, "", ed, begin, nil))}, {ErrCredentialFormat, second(NewC509(FormatCCS, "", ed, begin, nil))},
		} {
			if !errors.Is(x.err, x.want) {
				t.Errorf("%v, want %v", x.err, x.want)
			}
		}
		if _, err := NewX509(FormatX5Chain, "", ed, begin, bytes.NewReader(nil)); err == nil {
			t.Error("without randomness")
		}
	})
}

func second(_ *Credential, err error) error { return err }

// selfSigned verifies the signature of a certificate with the key that it holds.
func selfSigned(t *testing.T, f CredentialFormat, alg Algorithm, c *Credential) {
	t.Helper()
	if f == FormatX5Bag || f == FormatX5Chain {
		cert, err := x509.ParseCertificate(c.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if err := cert.CheckSignature(cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature); err != nil {
			t.Fatal(err)
		}
		return
	}
	items, err := c509Array(c.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	var tbs []byte
	for _, i := range items[:c509Signature] {
		tbs = append(tbs, i...)
	}
	sig, err := cborx.Bytes(items[c509Signature])
	if err != nil {
		t.Fatal(err)
	}
	if err := c.PublicKey().Verify(alg, tbs, sig); err != nil {
		t.Fatal(err)
	}
}
