package cose

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"testing"

	"github.com/cohort-iot/cohort/internal/cborx"
)

// c509Fields are the elements of a C509 certificate, as tests make them. What
// Marshal encodes is a field; a RawMessage is one as it stands.
type c509Fields [c509Elements]any

// encode returns the array C509Certificate.
func (f c509Fields) encode(t testing.TB) []byte {
	t.Helper()
	b, err := cborx.Marshal(f[:])
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// c509Point is a public key as it stands in a certificate: compressed for NIST curves.
func c509Point(pub *PublicKey, even byte) []byte {
	if pub.Kty() == KeyTypeOKP {
		return pub.X()
	}
	head := even
	if pub.y[len(pub.y)-1]&1 == 1 {
		head ^= 3 ^ 2
		if even == c509EvenY {
			head = c509OddY
		}
	}
	return append([]byte{head}, pub.X()...)
}

var c509Algorithms = map[Curve]int{
	CurveP256: 1, CurveP384: 2, CurveP521: 3, CurveX25519: 8, CurveX448: 9, CurveEd25519: 12, CurveEd448: 13,
}

// nativeC509 makes a certificate that is natively signed with Ed25519.
func nativeC509(t testing.TB, pub *PublicKey, change ...func(*c509Fields)) []byte {
	t.Helper()
	f := c509Fields{
		2, []byte{0x01, 0xf5, 0x0d}, 12, "test CA", 1672531200, 1767225600, cborx.Tag{Number: 48, Content: []byte{1, 0x23, 0x45, 0x67, 0x89, 0xab}},
		c509Algorithms[pub.Curve()], c509Point(pub, 2), 1, nil,
	}
	for _, c := range change {
		c(&f)
	}
	if f[c509Signature] == nil {
		var tbs []byte
		for _, item := range f[:c509Signature] {
			b, err := cborx.Marshal(item)
			if err != nil {
				t.Fatal(err)
			}
			tbs = append(tbs, b...)
		}
		sig, err := newKey(t, CurveEd25519, 0x70).Sign(AlgEdDSA, tbs)
		if err != nil {
			t.Fatal(err)
		}
		f[c509Signature] = sig
	}
	return f.encode(t)
}

// reencodedC509 encodes an X.509 certificate on a NIST curve, signed with ECDSA and
// SHA-256, anew. Its names have common names in UTF-8 only, its only extension is
// keyUsage.
func reencodedC509(t testing.TB, der []byte, pub *PublicKey) []byte {
	t.Helper()
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	var rs struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(cert.Signature, &rs); err != nil {
		t.Fatal(err)
	}
	sig := rs.S.FillBytes(make([]byte, 32))
	return c509Fields{
		3, cert.SerialNumber.Bytes(), 0, cert.Issuer.CommonName, cert.NotBefore.Unix(), cert.NotAfter.Unix(), cert.Subject.CommonName,
		c509Algorithms[pub.Curve()], c509Point(pub, c509EvenY), int(cert.KeyUsage), append(rs.R.FillBytes(make([]byte, 32)), sig...),
	}.encode(t)
}

// pack makes a COSE_X509 or COSE_C509.
func pack(certs ...[]byte) []byte {
	if len(certs) == 1 {
		return cborx.AppendBytes(nil, certs[0])
	}
	b := cborx.AppendArray(nil, len(certs))
	for _, c := range certs {
		b = cborx.AppendBytes(b, c)
	}
	return b
}

func TestC509(t *testing.T) {
	t.Parallel()
	ca := nativeC509(t, newKey(t, CurveP256, 9).Public(), func(f *c509Fields) {
		f[c509Issuer], f[c509Subject], f[c509ExtensionsField] = nil, "test CA", []any{4, -1, 2, 32}
	})
	for _, crv := range supportedCurves {
		pub := newKey(t, crv, 1).Public()
		cert := nativeC509(t, pub)
		for name, c := range map[string]struct {
			format CredentialFormat
			raw    []byte
		}{
			"as it is":                             {FormatC509Chain, cert},
			"in a bag as it is":                    {FormatC509Bag, cert},
			"chain of one":                         {FormatC509Chain, pack(cert)},
			"bag of one":                           {FormatC509Bag, pack(cert)},
			"chain":                                {FormatC509Chain, pack(cert, ca)},
			"bag, first":                           {FormatC509Bag, pack(cert, ca)},
			"bag, last":                            {FormatC509Bag, pack(ca, ca, cert)},
			"bag, twice":                           {FormatC509Bag, pack(cert, ca, cert)},
			"byte string of the elements only":     {FormatC509Chain, pack(cert[1:])},
			"chain of the elements only":           {FormatC509Chain, pack(cert[1:], ca[1:])},
			"bag with elements only in one":        {FormatC509Bag, pack(ca, cert[1:])},
			"byte string with a head that is long": {FormatC509Chain, append([]byte{0x5a, 0, 0, byte(len(cert) >> 8), byte(len(cert))}, cert...)},
		} {
			t.Run(fmt.Sprintf("GO-2.4-3,GO-2.4-5,GO-2.4-7,GO-2.4-9 %v %s", crv, name), func(t *testing.T) {
				got, err := ParseCredential(c.format, c.raw)
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(got.Bytes(), cert) {
					t.Errorf("bytes are %x, want %x", got.Bytes(), cert)
				}
				if !got.PublicKey().Equal(pub) || got.Format() != c.format || got.Subject() != "01-23-45-FF-FE-67-89-AB" {
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

func TestC509Reencoded(t *testing.T) {
	t.Parallel()
	for _, crv := range []Curve{CurveP256, CurveP384, CurveP521} {
		for seed := byte(1); seed <= 6; seed++ { // even and odd y
			k := newKey(t, crv, seed)
			der := issue(t, k.Public(), func(c *x509.Certificate) { c.Subject = pkix.Name{CommonName: fmt.Sprintf("lamp %d", seed)} })
			x5, err := ParseCredential(FormatX5Chain, der)
			if err != nil {
				t.Fatal(err)
			}
			raw := reencodedC509(t, der, k.Public())
			c5, err := ParseCredential(FormatC509Chain, raw)
			t.Run(fmt.Sprintf("GO-2.4-9 %v y is odd: %v", crv, raw[len(raw)-1]&1 == 1), func(t *testing.T) {
				if err != nil {
					t.Fatal(err)
				}
				if !c5.PublicKey().Equal(x5.PublicKey()) || !c5.PublicKey().Equal(k.Public()) || c5.Subject() != x5.Subject() {
					t.Error("differs from the X.509 certificate")
				}
				f5, u5 := c5.Validity()
				fx, ux := x5.Validity()
				if !f5.Equal(fx) || !u5.Equal(ux) {
					t.Errorf("%v %v, %v %v", f5, u5, fx, ux)
				}
			})
		}
	}
}

func TestC509Forms(t *testing.T) {
	t.Parallel()
	pub := newKey(t, CurveP256, 1).Public()
	with := func(field int, v any) func(*c509Fields) { return func(f *c509Fields) { f[field] = v } }
	kind3 := with(c509Type, 3)
	oid, digits := []byte{0x55, 4, 3}, []byte{0x12, 0x34}
	for name, c := range map[string]struct {
		change  []func(*c509Fields)
		subject string
		signs   bool
	}{
		"subject as text":                      {[]func(*c509Fields){with(c509Subject, "lamp")}, "lamp", true},
		"subject of digits":                    {[]func(*c509Fields){with(c509Subject, digits)}, "1234", true},
		"subject EUI-64":                       {[]func(*c509Fields){with(c509Subject, cborx.Tag{Number: 48, Content: []byte{1, 2, 3, 4, 5, 6, 7, 0xab}})}, "01-02-03-04-05-06-07-AB", true},
		"subject with attributes":              {[]func(*c509Fields){with(c509Subject, []any{4, "DE", oid, []byte{0x0c, 0}, 1, "lamp", 1, "other"})}, "lamp", true},
		"subject without common name":          {[]func(*c509Fields){with(c509Subject, []any{8, "Example"})}, "", true},
		"empty subject":                        {[]func(*c509Fields){with(c509Subject, []any{})}, "", true},
		"printable string, re-encoded":         {[]func(*c509Fields){kind3, with(c509Subject, []any{-1, "lamp"})}, "lamp", true},
		"issuer is the subject":                {[]func(*c509Fields){with(c509Subject, "x"), with(c509Issuer, nil)}, "x", true},
		"no end":                               {[]func(*c509Fields){with(c509Subject, "x"), with(c509NotAfter, nil)}, "x", true},
		"uncompressed key":                     {[]func(*c509Fields){with(c509Subject, "x"), with(c509Key, append(append([]byte{4}, pub.X()...), pub.Y()...))}, "x", true},
		"re-encoded, compressed in the X.509":  {[]func(*c509Fields){kind3, with(c509Subject, "x")}, "x", true},
		"signature algorithm by OID":           {[]func(*c509Fields){with(c509Subject, "x"), with(c509SignatureAlgorithm, oid)}, "x", true},
		"signature algorithm with parameters":  {[]func(*c509Fields){with(c509Subject, "x"), with(c509SignatureAlgorithm, []any{oid, []byte{5, 0}})}, "x", true},
		"no extensions":                        {[]func(*c509Fields){with(c509Subject, "x"), with(c509ExtensionsField, []any{})}, "x", true},
		"critical key usage":                   {[]func(*c509Fields){with(c509Subject, "x"), with(c509ExtensionsField, -1)}, "x", true},
		"key usage for key agreement only":     {[]func(*c509Fields){with(c509Subject, "x"), with(c509ExtensionsField, 16)}, "x", false},
		"critical, for key agreement only":     {[]func(*c509Fields){with(c509Subject, "x"), with(c509ExtensionsField, -16)}, "x", false},
		"key usage among others":               {[]func(*c509Fields){with(c509Subject, "x"), with(c509ExtensionsField, []any{-4, -2, 1, []byte{1}, -2, 17, 3, "example.org"})}, "x", true},
		"key usage among others, no signature": {[]func(*c509Fields){with(c509Subject, "x"), with(c509ExtensionsField, []any{4, 3, 2, 16})}, "x", false},
		"extensions by OID":                    {[]func(*c509Fields){with(c509Subject, "x"), with(c509ExtensionsField, []any{oid, []byte{5, 0}, []byte{0x2a, 3}, []any{[]byte{}}})}, "x", true},
		"unknown extensions":                   {[]func(*c509Fields){with(c509Subject, "x"), with(c509ExtensionsField, []any{-99, nil, 98, map[int]int{1: 2}})}, "x", true},
		"unsigned":                             {[]func(*c509Fields){with(c509Subject, "x"), with(c509SignatureAlgorithm, 5), with(c509Signature, []byte{})}, "x", true},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseCredential(FormatC509Chain, nativeC509(t, pub, c.change...))
			if err != nil {
				t.Fatal(err)
			}
			if !got.PublicKey().Equal(pub) || got.Subject() != c.subject {
				t.Errorf("subject %q", got.Subject())
			}
			if _, err := got.PublicKey().SignatureSize(AlgES256); (err == nil) != c.signs || err != nil && !errors.Is(err, ErrKey) {
				t.Errorf("signatures: %v", err)
			}
			if _, err := newKey(t, CurveP256, 2).ECDH(got.PublicKey()); err != nil {
				t.Errorf("agreement: %v", err)
			}
			if _, until := got.Validity(); until.IsZero() != (name == "no end") {
				t.Errorf("until %v", until)
			}
		})
	}
}

func TestC509Refused(t *testing.T) {
	t.Parallel()
	pub := newKey(t, CurveP256, 1).Public()
	good := nativeC509(t, pub)
	ca := nativeC509(t, pub, func(f *c509Fields) {
		f[c509Issuer], f[c509Subject], f[c509ExtensionsField] = nil, "test CA", []any{4, 0}
	})
	with := func(field int, v any) []byte { return nativeC509(t, pub, func(f *c509Fields) { f[field] = v }) }
	undefined := cborx.RawMessage{0xf7}
	for name, raw := range map[string][]byte{
		"nothing":                            nil,
		"a tag":                              append([]byte{0xd8, 0x3d}, good...),
		"file format":                        append(unhex(t, "d9d9f7"), good...),
		"elements without array":             good[1:],
		"ten elements":                       append([]byte{0x8a}, good[1:len(good)-66]...),
		"twelve elements":                    append(append([]byte{0x8c}, good[1:]...), 0),
		"trailing byte":                      append(bytes.Clone(good), 0),
		"cut":                                good[:len(good)-1],
		"a map":                              {0xa0},
		"empty byte string":                  {0x40},
		"empty array":                        {0x80},
		"array of one":                       append([]byte{0x81}, pack(good)...),
		"array of certificates as they are":  append(append([]byte{0x82}, good...), ca...),
		"text in a chain":                    append(append([]byte{0x82}, pack(good)...), 0x60),
		"a chain with something else":        pack(good, []byte("not a certificate")),
		"too long a chain":                   pack(append([][]byte{good}, make([][]byte, maxChain)...)...),
		"array head that is long":            append([]byte{0x98, 0x0b}, good[1:]...),
		"type 1":                             with(c509Type, 1),
		"type 4":                             with(c509Type, 4),
		"type text":                          with(c509Type, "2"),
		"type in two bytes":                  append(unhex(t, "8b1802"), good[2:]...),
		"serial as a number":                 with(c509Serial, 5),
		"serial as a bignum":                 with(c509Serial, cborx.Tag{Number: 2, Content: []byte{1, 2, 3}}),
		"serial empty":                       with(c509Serial, []byte{}),
		"serial with leading zero":           with(c509Serial, []byte{0, 1}),
		"serial of 21 bytes":                 with(c509Serial, bytes.Repeat([]byte{1}, 21)),
		"signature algorithm text":           with(c509SignatureAlgorithm, "ECDSA"),
		"signature algorithm null":           with(c509SignatureAlgorithm, nil),
		"signature algorithm empty OID":      with(c509SignatureAlgorithm, []byte{}),
		"signature algorithm, OID cut":       with(c509SignatureAlgorithm, []byte{0x2a, 0x86}),
		"signature algorithm, OID padded":    with(c509SignatureAlgorithm, []byte{0x2a, 0x80, 0x01}),
		"signature algorithm, OID alone":     with(c509SignatureAlgorithm, []any{[]byte{0x2a}}),
		"signature algorithm, text in pair":  with(c509SignatureAlgorithm, []any{"1.2", []byte{}}),
		"signature algorithm, no parameters": with(c509SignatureAlgorithm, []any{[]byte{0x2a}, nil}),
		"issuer a number":                    with(c509Issuer, 1),
		"issuer undefined":                   with(c509Issuer, undefined),
		"issuer repeated":                    with(c509Issuer, cborx.Tag{Number: 48, Content: []byte{1, 0x23, 0x45, 0x67, 0x89, 0xab}}),
		"subject null":                       with(c509Subject, nil),
		"subject a map":                      with(c509Subject, map[int]string{1: "lamp"}),
		"subject empty bytes":                with(c509Subject, []byte{}),
		"subject with half an attribute":     with(c509Subject, []any{1}),
		"subject, attribute of text":         with(c509Subject, []any{"cn", "lamp"}),
		"subject, value a number":            with(c509Subject, []any{1, 2}),
		"subject, value null":                with(c509Subject, []any{1, nil}),
		"subject, OID with text":             with(c509Subject, []any{[]byte{0x2a}, "lamp"}),
		"subject, bad OID":                   with(c509Subject, []any{[]byte{0x80}, []byte{1}}),
		"subject, printable in a native one": with(c509Subject, []any{-1, "lamp"}),
		"subject, MAC of 7 bytes":            with(c509Subject, cborx.Tag{Number: 48, Content: make([]byte, 7)}),
		"subject, MAC as text":               with(c509Subject, cborx.Tag{Number: 48, Content: "01-02"}),
		"subject, another tag":               with(c509Subject, cborx.Tag{Number: 37, Content: make([]byte, 8)}),
		"not before null":                    with(c509NotBefore, nil),
		"not before tagged":                  with(c509NotBefore, cborx.Tag{Number: 1, Content: 5}),
		"not before negative":                with(c509NotBefore, -1),
		"not before a float":                 with(c509NotBefore, 1.5),
		"not before after the year 9999":     with(c509NotBefore, maxTime+1),
		"not after text":                     with(c509NotAfter, "never"),
		"not after at the end of 9999":       with(c509NotAfter, maxTime),
		"not after negative":                 with(c509NotAfter, -1),
		"key algorithm text":                 with(c509KeyAlgorithm, "EC"),
		"key null":                           with(c509Key, nil),
		"key as an array":                    with(c509Key, []any{pub.X(), pub.Y()}),
		"key empty":                          with(c509Key, []byte{}),
		"key without head":                   with(c509Key, pub.X()),
		"key, re-encoded in a native one":    with(c509Key, append([]byte{c509EvenY}, pub.X()...)),
		"key, odd, re-encoded, in a native":  with(c509Key, append([]byte{c509OddY}, pub.X()...)),
		"key off the curve":                  with(c509Key, append(append([]byte{4}, pub.X()...), pub.X()...)),
		"key hybrid":                         with(c509Key, append(append([]byte{6}, pub.X()...), pub.Y()...)),
		"key of another curve":               with(c509KeyAlgorithm, 2),
		"extensions null":                    with(c509ExtensionsField, nil),
		"extensions a map":                   with(c509ExtensionsField, map[int]int{2: 1}),
		"extensions 0":                       with(c509ExtensionsField, 0),
		"extensions, key usage of ten bits":  with(c509ExtensionsField, 512),
		"extensions, no value":               with(c509ExtensionsField, []any{1}),
		"extensions, id 0":                   with(c509ExtensionsField, []any{0, 1}),
		"extensions, id text":                with(c509ExtensionsField, []any{"keyUsage", 1}),
		"extensions, undefined":              with(c509ExtensionsField, []any{99, undefined}),
		"extensions, twice":                  with(c509ExtensionsField, []any{2, 1, 2, 1}),
		"extensions, twice and critical":     with(c509ExtensionsField, []any{-99, 1, 99, 1}),
		"extensions, OID twice":              with(c509ExtensionsField, []any{[]byte{0x2a}, []byte{}, []byte{0x2a}, []any{[]byte{}}}),
		"extensions, bad OID":                with(c509ExtensionsField, []any{[]byte{0x80}, []byte{}}),
		"extensions, OID with a number":      with(c509ExtensionsField, []any{[]byte{0x2a}, 1}),
		"extensions, OID with an array":      with(c509ExtensionsField, []any{[]byte{0x2a}, []any{[]byte{}, []byte{}}}),
		"extensions, negative key usage":     with(c509ExtensionsField, []any{2, -1}),
		"extensions, key usage text":         with(c509ExtensionsField, []any{2, "sign"}),
		"extensions, basic constraints -3":   with(c509ExtensionsField, []any{4, -3}),
		"extensions, basic constraints bool": with(c509ExtensionsField, []any{4, true}),
		"signature null":                     with(c509Signature, cborx.RawMessage{0xf6}),
		"signature text":                     with(c509Signature, "signature"),
		"signature tagged":                   with(c509Signature, cborx.Tag{Number: 24, Content: []byte{1}}),
	} {
		t.Run(name, func(t *testing.T) {
			if c, err := ParseCredential(FormatC509Chain, raw); !errors.Is(err, ErrCredential) || c != nil {
				t.Errorf("%v, %v", c, err)
			}
		})
	}
	for name, alg := range map[string]any{
		"GO-14.16-2 RSA": 0, "SM2": 6, "brainpoolP256r1": 24, "unknown": 999, "by OID": []byte{0x2b, 0x65, 0x70}, "by OID with parameters": []any{[]byte{0x2b, 0x65, 0x70}, []byte{5, 0}},
	} {
		t.Run("unsupported key: "+name, func(t *testing.T) {
			if c, err := ParseCredential(FormatC509Chain, with(c509KeyAlgorithm, alg)); !errors.Is(err, ErrCredential) || !errors.Is(err, ErrUnsupportedKey) || c != nil {
				t.Errorf("%v, %v", c, err)
			}
		})
	}
	for name, raw := range map[string][]byte{
		"of certification authorities": pack(ca, ca),
		"with two end entities":        pack(good, ca, with(c509Subject, "other")),
		"with something else":          pack(good, ca, []byte{0x8b}),
	} {
		t.Run("bag "+name, func(t *testing.T) {
			if c, err := ParseCredential(FormatC509Bag, raw); !errors.Is(err, ErrCredential) || c != nil {
				t.Errorf("%v, %v", c, err)
			}
		})
	}
	t.Run("small order", func(t *testing.T) {
		raw := nativeC509(t, newKey(t, CurveEd25519, 1).Public(), func(f *c509Fields) { f[c509Key] = unhex(t, smallOrder[4]) })
		if _, err := ParseCredential(FormatC509Chain, raw); !errors.Is(err, ErrKey) {
			t.Error(err)
		}
	})
	t.Run("a certificate of an authority that is alone is an end entity", func(t *testing.T) {
		for _, f := range []CredentialFormat{FormatC509Chain, FormatC509Bag} {
			if _, err := ParseCredential(f, ca); err != nil {
				t.Error(err)
			}
		}
	})
}

func FuzzParseC509(f *testing.F) {
	ca := nativeC509(f, newKey(f, CurveP256, 9).Public(), func(c *c509Fields) {
		c[c509Subject], c[c509ExtensionsField] = []any{4, "DE", 1, "test CA"}, []any{-4, -1, 2, 32, []byte{0x2a, 3}, []byte{}}
	})
	for _, crv := range supportedCurves {
		cert := nativeC509(f, newKey(f, crv, 1).Public())
		f.Add(cert)
		f.Add(pack(ca, cert[1:]))
	}
	pub := newKey(f, CurveP256, 2).Public()
	f.Add(reencodedC509(f, issue(f, pub), pub))
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, format := range []CredentialFormat{FormatC509Chain, FormatC509Bag} {
			checkCredential(t, format, raw)
		}
	})
}
