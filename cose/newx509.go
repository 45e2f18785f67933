package cose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"time"
)

// serialSize is the length in bytes of the serial numbers of certificates made
// here: 64 random bits (RFC 5280, Section 4.1.2.2, asks for no more than 20 bytes).
const serialSize = 8

// NewX509 makes an X.509 certificate of a key pair, signed with that key itself,
// for signatures, from notBefore and without end (RFC 5280, Section 4.1.2.5). It
// is for an identity whose credential is trusted for where it comes from, as a
// Group Manager's.
//
// Errors: ErrCredentialFormat unless f is FormatX5Chain or FormatX5Bag;
// ErrUnsupportedKey for keys that do not sign or are kept outside, and Ed448.
func NewX509(f CredentialFormat, subject string, key *PrivateKey, notBefore time.Time, random io.Reader) (*Credential, error) {
	if f != FormatX5Chain && f != FormatX5Bag {
		return nil, fmt.Errorf("%w: %v", ErrCredentialFormat, f)
	}
	signer, err := stdSigner(key)
	if err != nil {
		return nil, err
	}
	serial, err := newSerial(random)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(serial), Subject: pkix.Name{CommonName: subject}, KeyUsage: x509.KeyUsageDigitalSignature,
		NotBefore: notBefore, NotAfter: time.Unix(maxTime, 0).UTC(),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, signer.Public(), signer)
	if err != nil {
		return nil, fmt.Errorf("cose: make a certificate: %w", err)
	}
	return ParseCredential(f, der)
}

// stdSigner is a key in the form of the standard library.
func stdSigner(key *PrivateKey) (crypto.Signer, error) {
	d := key.Secret()
	defer d.Wipe()
	var crv elliptic.Curve
	switch key.Public().Curve() {
	case CurveEd25519:
		if len(d) == ed25519.SeedSize {
			return ed25519.NewKeyFromSeed(d), nil
		}
	case CurveP256:
		crv = elliptic.P256()
	case CurveP384:
		crv = elliptic.P384()
	case CurveP521:
		crv = elliptic.P521()
	}
	if crv == nil || d == nil {
		return nil, fmt.Errorf("%w: no certificate is made for %v here", ErrUnsupportedKey, key.Public().Curve())
	}
	return ecdsa.ParseRawPrivateKey(crv, d)
}

// newSerial gives a random serial number, positive and of full length.
func newSerial(random io.Reader) ([]byte, error) {
	if random == nil {
		random = rand.Reader
	}
	b := make([]byte, serialSize)
	if _, err := io.ReadFull(random, b); err != nil {
		return nil, fmt.Errorf("cose: serial number: %w", err)
	}
	b[0] = b[0]&0x7f | 0x40
	return b, nil
}
