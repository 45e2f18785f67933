package cose

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strings"
	"testing"

	"github.com/cloudflare/circl/dh/x448"
	"github.com/cloudflare/circl/sign/ed448"
)

// device stands for an HSM: it holds the key and shows what it was asked for.
type device struct {
	crypto.Signer
	agree func(crv Curve, peer []byte) ([]byte, error)
}

func (d device) ECDH(crv Curve, peer []byte) ([]byte, error) { return d.agree(crv, peer) }

// newDevice holds the key that newKey makes of the same seed.
func newDevice(t testing.TB, crv Curve, seed byte) device {
	t.Helper()
	d := newKey(t, crv, seed).Secret()
	switch crv {
	case CurveEd25519:
		return device{ed25519.NewKeyFromSeed(d), stdAgreement(t, crv, ed25519Scalar(d))}
	case CurveEd448:
		return device{ed448.NewKeyFromSeed(d), agreement448(ed448Scalar(d))}
	case CurveX25519:
		return device{nil, stdAgreement(t, crv, d)}
	case CurveX448:
		return device{nil, agreement448(d)}
	}
	k, err := ecdsa.ParseRawPrivateKey(crv.elliptic(), d)
	if err != nil {
		t.Fatal(err)
	}
	return device{k, stdAgreement(t, crv, d)}
}

func stdAgreement(t testing.TB, crv Curve, d []byte) func(Curve, []byte) ([]byte, error) {
	on := crv.agreementCurve()
	k, err := crv.ecdh().NewPrivateKey(d)
	if err != nil {
		t.Fatal(err)
	}
	return func(crv Curve, peer []byte) ([]byte, error) {
		if crv != on {
			return nil, fmt.Errorf("asked for %v", crv)
		}
		p, err := on.ecdh().NewPublicKey(peer)
		if err != nil {
			return nil, err
		}
		return k.ECDH(p)
	}
}

func agreement448(d []byte) func(Curve, []byte) ([]byte, error) {
	k := x448.Key(d)
	return func(crv Curve, peer []byte) ([]byte, error) {
		if crv != CurveX448 {
			return nil, fmt.Errorf("asked for %v", crv)
		}
		p, z := x448.Key(peer), x448.Key{}
		x448.Shared(&z, &k, &p)
		return z[:], nil
	}
}

func TestExternalKeys(t *testing.T) {
	t.Parallel()
	msg := []byte("message")
	for _, crv := range supportedCurves {
		soft, peer := newKey(t, crv, 1), newKey(t, crv, 2)
		d := newDevice(t, crv, 1)
		e := External{Public: soft.Public(), Signer: d.Signer, Agreement: d}
		k, err := NewExternalKey(e)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(fmt.Sprintf("%v has no secret to give", crv), func(t *testing.T) {
			if k.Secret() != nil {
				t.Error("Secret is not nil")
			}
			if !k.Public().Equal(soft.Public()) || !k.CanAgree() {
				t.Error("not the key of the device")
			}
		})
		t.Run(fmt.Sprintf("%v agrees like the key in memory", crv), func(t *testing.T) {
			z, err := k.ECDH(peer.Public())
			want, errWant := soft.ECDH(peer.Public())
			if err != nil || errWant != nil || !z.Equal(want) {
				t.Errorf("%v %v", err, errWant)
			}
		})
		for alg := Algorithm(-60); alg < 0; alg++ {
			if !alg.signsOn(crv) {
				continue
			}
			t.Run(fmt.Sprintf("%v signs with %v", crv, alg), func(t *testing.T) {
				sig, err := k.Sign(alg, msg)
				if err != nil {
					t.Fatal(err)
				}
				if err := soft.Public().Verify(alg, msg, sig); err != nil {
					t.Error(err)
				}
			})
		}
		t.Run(fmt.Sprintf("%v without agreement says so", crv), func(t *testing.T) {
			if d.Signer == nil {
				if _, err := NewExternalKey(External{Public: soft.Public()}); !errors.Is(err, ErrKey) {
					t.Errorf("neither signs nor agrees: %v", err)
				}
				return
			}
			k, err := NewExternalKey(External{Signer: d.Signer})
			if err != nil {
				t.Fatal(err)
			}
			if z, err := k.ECDH(peer.Public()); !errors.Is(err, ErrNoAgreement) || !strings.Contains(err.Error(), "pairwise mode") || z != nil || k.CanAgree() {
				t.Error(err)
			}
		})
		t.Run(fmt.Sprintf("%v without signer says so", crv), func(t *testing.T) {
			k, err := NewExternalKey(External{Public: soft.Public(), Agreement: d})
			if err != nil {
				t.Fatal(err)
			}
			want := ErrNoSigner
			alg := AlgEdDSA
			switch {
			case d.Signer == nil:
				want = ErrAlgorithm
			case crv == CurveP256:
				alg = AlgES256
			case crv == CurveP384:
				alg = AlgES384
			case crv == CurveP521:
				alg = AlgES512
			}
			if _, err := k.Sign(alg, msg); !errors.Is(err, want) {
				t.Error(err)
			}
		})
	}
}

// odd is a signer that answers what the test wants.
type odd struct {
	pub crypto.PublicKey
	sig []byte
	err error
}

func (o odd) Public() crypto.PublicKey { return o.pub }
func (o odd) Sign(_ io.Reader, _ []byte, _ crypto.SignerOpts) ([]byte, error) {
	return o.sig, o.err
}

func TestExternalKeysRefused(t *testing.T) {
	t.Parallel()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ed := newDevice(t, CurveEd25519, 1).Signer
	for name, c := range map[string]struct {
		e    External
		want error
	}{
		"nothing":                      {External{}, ErrKey},
		"only a public key":            {External{Public: newKey(t, CurveP256, 1).Public()}, ErrKey},
		"agreement without public key": {External{Agreement: newDevice(t, CurveX25519, 1)}, ErrKey},
		"another public key":           {External{Public: newKey(t, CurveEd25519, 2).Public(), Signer: ed}, ErrKey},
		"GO-14.16-2 RSA":               {External{Signer: rsaKey}, ErrUnsupportedKey},
		"P-224":                        {External{Signer: p224}, ErrUnsupportedKey},
		"ECDSA key that is nil":        {External{Signer: odd{pub: (*ecdsa.PublicKey)(nil)}}, ErrUnsupportedKey},
		"public key that is nil":       {External{Signer: odd{}}, ErrUnsupportedKey},
		"short Ed25519 key":            {External{Signer: odd{pub: ed25519.PublicKey{1}}}, ErrKey},
		"Ed25519 key of small order":   {External{Signer: odd{pub: ed25519.PublicKey(unhex(t, smallOrder[0]))}}, ErrKey},
		"Ed448 key of small order":     {External{Signer: odd{pub: ed448.PublicKey(make([]byte, 57))}}, ErrKey},
		//lint:ignore SA1019 no other way to make a key that is wrong
		"ECDSA key that is not a point": {External{Signer: odd{pub: &ecdsa.PublicKey{Curve: elliptic.P256(), X: big.NewInt(1), Y: big.NewInt(1)}}}, ErrKey},
	} {
		t.Run(name, func(t *testing.T) {
			if k, err := NewExternalKey(c.e); !errors.Is(err, c.want) || k != nil {
				t.Errorf("%v, %v", k, err)
			}
		})
	}
}

func TestExternalKeyFaults(t *testing.T) {
	t.Parallel()
	der := func(r, s *big.Int) []byte {
		b, err := asn1.Marshal(struct{ R, S *big.Int }{r, s})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	ecPub := newDevice(t, CurveP256, 1).Public()
	edPub := newDevice(t, CurveEd25519, 1).Public()
	n := elliptic.P256().Params().N
	other, err := newDevice(t, CurveEd25519, 2).Sign(nil, []byte("message"), crypto.Hash(0))
	if err != nil {
		t.Fatal(err)
	}
	cause := errors.New("token removed")
	right, err := newDevice(t, CurveP256, 1).Sign(rand.Reader, ecdsaDigest(CurveP256, []byte("message")), crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		s    odd
		alg  Algorithm
		want error
	}{
		"the device's error is passed on":          {odd{edPub, nil, cause}, AlgEdDSA, cause},
		"no signature":                             {odd{edPub, nil, nil}, AlgEdDSA, ErrSignature},
		"a signature of another key":               {odd{edPub, other, nil}, AlgEdDSA, ErrSignature},
		"ECDSA: r || s instead of ASN.1":           {odd{ecPub, make([]byte, 64), nil}, AlgES256, nil},
		"ECDSA: a byte after the ASN.1":            {odd{ecPub, append(bytes.Clone(right), 0), nil}, AlgES256, ErrSignature},
		"ECDSA: r = 0":                             {odd{ecPub, der(new(big.Int), big.NewInt(1)), nil}, AlgES256, ErrSignature},
		"ECDSA: s = n":                             {odd{ecPub, der(big.NewInt(1), n), nil}, AlgES256, ErrSignature},
		"ECDSA: r negative":                        {odd{ecPub, der(big.NewInt(-1), big.NewInt(1)), nil}, AlgES256, ErrSignature},
		"ECDSA: r of 100 bytes":                    {odd{ecPub, der(new(big.Int).Lsh(big.NewInt(1), 800), big.NewInt(1)), nil}, AlgES256, ErrSignature},
		"ECDSA: in range and wrong":                {odd{ecPub, der(big.NewInt(1), big.NewInt(1)), nil}, AlgES256, ErrSignature},
		"an algorithm of another curve is refused": {odd{ecPub, nil, cause}, AlgEdDSA, ErrAlgorithm},
	} {
		t.Run(name, func(t *testing.T) {
			k, err := NewExternalKey(External{Signer: c.s})
			if err != nil {
				t.Fatal(err)
			}
			sig, err := k.Sign(c.alg, []byte("message"))
			if err == nil || c.want != nil && !errors.Is(err, c.want) || sig != nil {
				t.Errorf("%x, %v", sig, err)
			}
		})
	}
	agreement := func(z []byte, err error) External {
		return External{Public: newKey(t, CurveEd25519, 1).Public(), Agreement: device{agree: func(Curve, []byte) ([]byte, error) { return z, err }}}
	}
	for name, c := range map[string]struct {
		e    External
		want error
	}{
		"agreement: the device's error": {agreement(nil, cause), cause},
		"agreement: too short":          {agreement(make([]byte, 31), nil), ErrKey},
		"agreement: too long":           {agreement(bytes.Repeat([]byte{1}, 33), nil), ErrKey},
		"agreement: all zero":           {agreement(make([]byte, 32), nil), ErrKey},
	} {
		t.Run(name, func(t *testing.T) {
			k, err := NewExternalKey(c.e)
			if err != nil {
				t.Fatal(err)
			}
			if z, err := k.ECDH(newKey(t, CurveEd25519, 2).Public()); !errors.Is(err, c.want) || z != nil {
				t.Errorf("%x, %v", []byte(z), err)
			}
		})
	}
}

// TestExternalKeyPeersAsTheyAre checks what a device is given to agree with.
func TestExternalKeyPeersAsTheyAre(t *testing.T) {
	t.Parallel()
	for _, crv := range supportedCurves {
		t.Run(fmt.Sprintf("GO-2.5.1-6 %v", crv), func(t *testing.T) {
			var gotCurve Curve
			var got []byte
			k, err := NewExternalKey(External{Public: newKey(t, crv, 1).Public(), Agreement: device{agree: func(c Curve, p []byte) ([]byte, error) {
				gotCurve, got = c, p
				return bytes.Repeat([]byte{1}, c.size()), nil
			}}})
			if err != nil {
				t.Fatal(err)
			}
			peer := newKey(t, crv, 2).Public()
			if _, err := k.ECDH(peer); err != nil {
				t.Fatal(err)
			}
			var want []byte
			switch crv {
			case CurveX25519, CurveX448:
				want = peer.X()
			case CurveEd25519:
				want = naiveMap(peer.X())
			case CurveEd448:
				want = naiveMap448(peer.X())
			default:
				want = append(append([]byte{4}, peer.X()...), peer.Y()...)
			}
			if gotCurve != crv.agreementCurve() || !bytes.Equal(got, want) {
				t.Errorf("%v %x, want %x", gotCurve, got, want)
			}
			clear(got)
			if _, err := ecdh.P256().NewPublicKey(peer.agreementPoint()); crv == CurveP256 && err != nil {
				t.Error("the device changed the key")
			}
		})
	}
}

func TestExternalIsRedacted(t *testing.T) {
	t.Parallel()
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{0x41}, 32))
	e := External{Signer: key}
	k, err := NewExternalKey(e)
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%X", "%s", "%d", "%q"} {
		t.Run("OS-12.6-2 "+verb, func(t *testing.T) {
			for _, holder := range []any{e, &e, k, struct{ E External }{e}, struct{ k *PrivateKey }{k}, struct{ K PrivateKey }{*k}} {
				s := fmt.Sprintf(verb, holder)
				if strings.Contains(s, "AAAA") || strings.Contains(s, "4141") || strings.Contains(s, "65 65") || strings.Contains(s, "0x41, 0x41") {
					t.Errorf("%T: %s", holder, s)
				}
			}
		})
	}
}
