package cose

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"testing"
	"time"

	"github.com/cohort-iot/cohort/internal/cborx"
)

// issue makes an X.509 certificate about a public key, signed by a CA on P-256.
func issue(t testing.TB, pub *PublicKey, change ...func(*x509.Certificate)) []byte {
	t.Helper()
	var key crypto.PublicKey
	switch pub.Curve() {
	case CurveEd25519:
		key = ed25519.PublicKey(pub.X())
	case CurveX25519:
		return withSPKI(t, issue(t, newKey(t, CurveP256, 1).Public(), change...), okpSPKI(t, 110, pub.X()))
	case CurveX448:
		return withSPKI(t, issue(t, newKey(t, CurveP256, 1).Public(), change...), okpSPKI(t, 111, pub.X()))
	case CurveEd448:
		return withSPKI(t, issue(t, newKey(t, CurveP256, 1).Public(), change...), okpSPKI(t, 113, pub.X()))
	default:
		key = pub.ecdsa
	}
	return issueAny(t, key, change...)
}

// issueAny is issue for any public key that crypto/x509 encodes.
func issueAny(t testing.TB, key crypto.PublicKey, change ...func(*x509.Certificate)) []byte {
	t.Helper()
	ca, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), newKey(t, CurveP256, 0x60).Secret())
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(128269), Subject: pkix.Name{CommonName: "lamp"}, KeyUsage: x509.KeyUsageDigitalSignature,
		NotBefore: time.Unix(1672531200, 0), NotAfter: time.Unix(1767225600, 0),
	}
	for _, c := range change {
		c(template)
	}
	parent := &x509.Certificate{Subject: pkix.Name{CommonName: "test CA"}}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key, ca)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func authority(c *x509.Certificate) {
	c.Subject.CommonName, c.IsCA, c.BasicConstraintsValid, c.KeyUsage = "test CA", true, true, x509.KeyUsageCertSign
}

// okpSPKI is the SubjectPublicKeyInfo of RFC 8410 for the OID 1.3.101.id.
func okpSPKI(t testing.TB, id int, x []byte) []byte {
	t.Helper()
	return marshalSPKI(t, pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 3, 101, id}}, x)
}

func marshalSPKI(t testing.TB, alg pkix.AlgorithmIdentifier, point []byte) []byte {
	t.Helper()
	b, err := asn1.Marshal(struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}{alg, asn1.BitString{Bytes: point, BitLength: 8 * len(point)}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// withSPKI replaces the public key of a certificate, whose signature is then void.
func withSPKI(t testing.TB, der, spki []byte) []byte {
	t.Helper()
	var cert struct {
		TBS       asn1.RawValue
		Algorithm asn1.RawValue
		Signature asn1.BitString
	}
	var tbs struct {
		Version                                                         asn1.RawValue
		Serial                                                          asn1.RawValue
		Algorithm, Issuer, Validity, Subject, PublicKey, ExtensionField asn1.RawValue `asn1:"optional"`
	}
	if _, err := asn1.Unmarshal(der, &cert); err != nil {
		t.Fatal(err)
	}
	if _, err := asn1.Unmarshal(cert.TBS.FullBytes, &tbs); err != nil {
		t.Fatal(err)
	}
	tbs.PublicKey = asn1.RawValue{FullBytes: spki}
	b, err := asn1.Marshal(tbs)
	if err != nil {
		t.Fatal(err)
	}
	cert.TBS = asn1.RawValue{FullBytes: b}
	if b, err = asn1.Marshal(cert); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestX509(t *testing.T) {
	t.Parallel()
	ca := issue(t, newKey(t, CurveP256, 9).Public(), authority)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	rsaCA := issueAny(t, rsaKey.Public(), authority)
	for _, crv := range supportedCurves {
		pub := newKey(t, crv, 1).Public()
		der := issue(t, pub)
		for name, c := range map[string]struct {
			format CredentialFormat
			raw    []byte
		}{
			"as it is":               {FormatX5Chain, der},
			"in a bag as it is":      {FormatX5Bag, der},
			"chain of one":           {FormatX5Chain, pack(der)},
			"bag of one":             {FormatX5Bag, pack(der)},
			"chain":                  {FormatX5Chain, pack(der, ca)},
			"chain of an RSA issuer": {FormatX5Chain, pack(der, rsaCA)},
			"bag, first":             {FormatX5Bag, pack(der, ca, rsaCA)},
			"bag, last":              {FormatX5Bag, pack(ca, ca, der)},
			"bag, twice":             {FormatX5Bag, pack(der, ca, der)},
		} {
			t.Run(fmt.Sprintf("GO-2.4-3,GO-2.4-5,GO-2.4-7,GO-2.4-9 %v %s", crv, name), func(t *testing.T) {
				got, err := ParseCredential(c.format, c.raw)
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(got.Bytes(), der) {
					t.Errorf("bytes are %x, want %x", got.Bytes(), der)
				}
				if !got.PublicKey().Equal(pub) || got.Format() != c.format || got.Subject() != "lamp" {
					t.Errorf("%v %v %q", got.PublicKey().Curve(), got.Format(), got.Subject())
				}
				from, until := got.Validity()
				if from.Unix() != 1672531200 || until.Unix() != 1767225600 {
					t.Errorf("%v %v", from, until)
				}
				again, err := ParseCredential(c.format, got.Bytes())
				if err != nil || !again.Equal(got) {
					t.Error(err)
				}
				if got.Claim(2) != nil {
					t.Error("a certificate with claims")
				}
			})
		}
	}
}

func TestX509Forms(t *testing.T) {
	t.Parallel()
	pub := newKey(t, CurveEd25519, 1).Public()
	for name, c := range map[string]struct {
		change func(*x509.Certificate)
		signs  bool
	}{
		"digitalSignature":                  {func(*x509.Certificate) {}, true},
		"no key usage":                      {func(c *x509.Certificate) { c.KeyUsage = 0 }, true},
		"keyAgreement only":                 {func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyAgreement }, false},
		"digitalSignature and keyAgreement": {func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageKeyAgreement }, true},
		"no common name":                    {func(c *x509.Certificate) { c.Subject = pkix.Name{Organization: []string{"Example"}} }, true},
		"no end":                            {func(c *x509.Certificate) { c.NotAfter = time.Unix(maxTime, 0) }, true},
		"an authority, alone":               {func(c *x509.Certificate) { authority(c); c.KeyUsage = 0 }, true},
		"an unknown critical extension": {func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Critical: true, Value: []byte{5, 0}}}
		}, true},
		"subject alternative name and others": {func(c *x509.Certificate) { c.DNSNames = []string{"lamp.example"} }, true},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseCredential(FormatX5Chain, issue(t, pub, c.change))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := got.PublicKey().SignatureSize(AlgEdDSA); (err == nil) != c.signs || err != nil && !errors.Is(err, ErrKey) {
				t.Errorf("signatures: %v", err)
			}
			if _, err := newKey(t, CurveEd25519, 2).ECDH(got.PublicKey()); err != nil {
				t.Errorf("agreement: %v", err)
			}
			if _, until := got.Validity(); until.IsZero() != (name == "no end") {
				t.Errorf("until %v", until)
			}
			if (got.Subject() == "") != (name == "no common name") {
				t.Errorf("subject %q", got.Subject())
			}
		})
	}
}

func TestX509Refused(t *testing.T) {
	t.Parallel()
	pub := newKey(t, CurveP256, 1).Public()
	good := issue(t, pub)
	ca := issue(t, pub, authority)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ec := func(curve ...int) pkix.AlgorithmIdentifier {
		oid, err := asn1.Marshal(asn1.ObjectIdentifier(curve))
		if err != nil {
			t.Fatal(err)
		}
		return pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}, Parameters: asn1.RawValue{FullBytes: oid}}
	}
	for name, raw := range map[string][]byte{
		"nothing":                       nil,
		"a byte":                        {0x30},
		"trailing byte":                 append(bytes.Clone(good), 0),
		"cut":                           good[:len(good)-1],
		"PEM":                           []byte("-----BEGIN CERTIFICATE-----\n"),
		"a CBOR map":                    {0xa0},
		"null":                          {0xf6},
		"empty byte string":             {0x40},
		"empty array":                   {0x80},
		"array of one":                  append([]byte{0x81}, pack(good)...),
		"byte string with a rest":       append(pack(good), 0),
		"tagged":                        append([]byte{0xc2}, pack(good)...),
		"text in a chain":               append(append([]byte{0x82}, pack(good)...), 0x60),
		"array in a chain":              append(append([]byte{0x82}, pack(good)...), 0x80),
		"chain that ends in no DER":     pack(good, []byte{4, 1, 0}),
		"chain that begins with no DER": pack([]byte{4, 1, 0}, good),
		"chain with a rest in one":      pack(good, append(bytes.Clone(ca), 0)),
		"too long a chain":              pack(append([][]byte{good}, bytes.SplitN(bytes.Repeat(append([]byte{}, 0), maxChain-1), []byte{0}, -1)...)...),
		"too long altogether":           pack(good, make([]byte, maxCredential)),
		"no named curve":                withSPKI(t, good, marshalSPKI(t, pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}}, append(append([]byte{4}, pub.X()...), pub.Y()...))),
		"Ed25519 with parameters":       withSPKI(t, good, marshalSPKI(t, pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 3, 101, 112}, Parameters: asn1.NullRawValue}, make([]byte, 32))),
	} {
		t.Run(name, func(t *testing.T) {
			if c, err := ParseCredential(FormatX5Chain, raw); !errors.Is(err, ErrCredential) || c != nil {
				t.Errorf("%v, %v", c, err)
			}
		})
	}
	for name, c := range map[string]struct {
		raw  []byte
		want error
	}{
		"GO-14.16-2 RSA":                 {issueAny(t, rsaKey.Public()), ErrUnsupportedKey},
		"P-224":                          {issueAny(t, p224.Public()), ErrUnsupportedKey},
		"brainpool":                      {withSPKI(t, good, marshalSPKI(t, ec(1, 3, 36, 3, 3, 2, 8, 1, 1, 7), append(append([]byte{4}, pub.X()...), pub.Y()...))), ErrUnsupportedKey},
		"GO-14.16-3 point off the curve": {withSPKI(t, good, marshalSPKI(t, ec(1, 2, 840, 10045, 3, 1, 7), append(append([]byte{4}, pub.X()...), pub.X()...))), ErrKey},
		"unknown algorithm":              {withSPKI(t, good, okpSPKI(t, 99, make([]byte, 32))), ErrUnsupportedKey},
		"Ed448 with parameters":          {withSPKI(t, good, marshalSPKI(t, pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 3, 101, 113}, Parameters: asn1.NullRawValue}, newKey(t, CurveEd448, 1).Public().X())), ErrKey},
		"Ed448 of 56 bytes":              {withSPKI(t, good, okpSPKI(t, 113, newKey(t, CurveX448, 1).Public().X())), ErrKey},
		"Ed448 of small order":           {withSPKI(t, good, okpSPKI(t, 113, make([]byte, 57))), ErrKey},
		"Ed25519 of small order":         {withSPKI(t, good, okpSPKI(t, 112, unhex(t, smallOrder[4]))), ErrKey},
		"X25519 of 31 bytes":             {withSPKI(t, good, okpSPKI(t, 110, make([]byte, 31))), ErrKey},
		"X25519 of small order":          {withSPKI(t, good, okpSPKI(t, 110, make([]byte, 32))), ErrKey},
		"X448 of small order":            {withSPKI(t, good, okpSPKI(t, 111, make([]byte, 56))), ErrKey},
		"an element too many":            {withSPKI(t, good, append(okpSPKI(t, 113, newKey(t, CurveEd448, 1).Public().X()), 5, 0)), nil},
		"a rest after the key":           {withSPKI(t, good, unhex(t, "3046300506032b6571033a00"+fmt.Sprintf("%x", newKey(t, CurveEd448, 1).Public().X())+"020101")), ErrKey},
		"key with unused bits":           {withSPKI(t, good, unhex(t, "3013300506032b6571030a07"+"000000000000000000")), nil},
		"key that is not DER":            {withSPKI(t, good, unhex(t, "3003020100")), nil},
		"algorithm without OID":          {withSPKI(t, good, unhex(t, "300530000301"+"00")), nil},
		"compressed point, P-256":        {withSPKI(t, good, marshalSPKI(t, ec(1, 2, 840, 10045, 3, 1, 7), append([]byte{2}, pub.X()...))), nil},
	} {
		t.Run("key refused: "+name, func(t *testing.T) {
			got, err := ParseCredential(FormatX5Chain, c.raw)
			if !errors.Is(err, ErrCredential) || c.want != nil && !errors.Is(err, c.want) || got != nil {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
	for name, raw := range map[string][]byte{
		"of certification authorities": pack(ca, ca),
		"with two end entities":        pack(good, ca, issue(t, pub)),
		"with something else":          pack(good, ca, []byte{0x30, 0}),
	} {
		t.Run("bag "+name, func(t *testing.T) {
			if c, err := ParseCredential(FormatX5Bag, raw); !errors.Is(err, ErrCredential) || c != nil {
				t.Errorf("%v, %v", c, err)
			}
		})
	}
}

// TestSPKI reads keys that crypto/x509 itself refuses or does not read.
func TestSPKI(t *testing.T) {
	t.Parallel()
	for _, crv := range []Curve{CurveP256, CurveP384, CurveP521} {
		pub := newKey(t, crv, 1).Public()
		std, err := x509.MarshalPKIXPublicKey(pub.ecdsa)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(fmt.Sprint(crv), func(t *testing.T) {
			if got, err := parseSPKI(std); err != nil || !got.Equal(pub) {
				t.Error(err)
			}
			if _, err := parseSPKI(append(bytes.Clone(std), 0)); !errors.Is(err, ErrKey) {
				t.Errorf("trailing byte: %v", err)
			}
			for i := range std[:20] {
				b := bytes.Clone(std)
				b[i] ^= 1
				if got, err := parseSPKI(b); err == nil {
					t.Errorf("byte %d changed: %v", i, got)
				}
			}
		})
	}
}

func FuzzParseX509(f *testing.F) {
	ca := issue(f, newKey(f, CurveP256, 9).Public(), authority)
	for _, crv := range supportedCurves {
		der := issue(f, newKey(f, crv, 1).Public())
		f.Add(der)
		f.Add(pack(ca, der))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, format := range []CredentialFormat{FormatX5Chain, FormatX5Bag} {
			checkCredential(t, format, raw)
		}
	})
}

// checkCredential asks of a credential that parses that it is part of what came, and
// that it parses to itself.
func checkCredential(t *testing.T, format CredentialFormat, raw []byte) {
	t.Helper()
	c, err := ParseCredential(format, raw)
	if err != nil {
		if c != nil || !errors.Is(err, ErrCredential) && !errors.Is(err, ErrCredentialFormat) {
			t.Fatalf("%v, %v", c, err)
		}
		return
	}
	if b := c.Bytes(); !bytes.Contains(raw, b) && (format != FormatC509Chain && format != FormatC509Bag || !bytes.Contains(raw, b[1:])) {
		t.Fatalf("%x is not in %x", b, raw)
	}
	again, err := ParseCredential(format, c.Bytes())
	if err != nil || !again.Equal(c) || !again.PublicKey().Equal(c.PublicKey()) || again.Subject() != c.Subject() {
		t.Fatalf("not parsed again: %v", err)
	}
	if item := c.Claim(claimCnf); item != nil && cborx.Wellformed(item) != nil {
		t.Fatalf("claim %x", item)
	}
	if _, err := newKey(t, c.PublicKey().Curve(), 7).ECDH(c.PublicKey()); err != nil {
		t.Fatalf("no agreement: %v", err)
	}
}
