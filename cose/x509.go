package cose

import (
	"crypto/x509"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	tags "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/cohort-iot/cohort/internal/cborx"
)

// derSequence is the first byte of a certificate in DER. As CBOR it would be an
// integer, which no COSE_X509 is.
const derSequence = 0x30

// parseX509 parses an X.509 certificate, alone or as a COSE_X509.
func (c *Credential) parseX509(raw []byte) error {
	certs := [][]byte{raw}
	if len(raw) == 0 || raw[0] != derSequence {
		var err error
		if certs, err = unwrapCOSE(raw); err != nil {
			return err
		}
	}
	first := 0
	if len(certs) > 1 && c.format == FormatX5Bag {
		var err error
		first, err = endEntity(certs, func(i int) (bool, error) {
			cert, err := x509.ParseCertificate(certs[i])
			if err != nil {
				return false, fmt.Errorf("%w: %w", cborx.ErrMalformed, err)
			}
			return cert.IsCA, nil
		})
		if err != nil {
			return err
		}
	}
	var spki []byte
	for i, der := range certs {
		info, err := publicKeyInfo(der)
		if err != nil {
			return err
		}
		if i == first {
			spki = info
		}
	}
	var err error
	if c.pub, err = parseSPKI(spki); err != nil { // crypto/x509 would not say which fault it is
		return err
	}
	cert, err := x509.ParseCertificate(certs[first])
	if err != nil {
		return fmt.Errorf("%w: %w", cborx.ErrMalformed, err)
	}
	c.pub.restrict(cert.KeyUsage == 0 || cert.KeyUsage&x509.KeyUsageDigitalSignature != 0)
	c.raw = certs[first]
	c.subject = cert.Subject.CommonName
	c.notBefore = cert.NotBefore
	if cert.NotAfter.Unix() < maxTime { // 99991231235959Z: no end (RFC 5280, Section 4.1.2.5)
		c.notAfter = cert.NotAfter
	}
	return nil
}

// publicKeyInfo checks the outline of a certificate (RFC 5280, Section 4.1), which is
// all that is asked of an issuer's, and returns its SubjectPublicKeyInfo. crypto/x509
// would let unknown elements pass, and with them hide the extensions.
func publicKeyInfo(der []byte) ([]byte, error) {
	in := cryptobyte.String(der)
	var cert, tbs, spki cryptobyte.String
	ok := in.ReadASN1(&cert, tags.SEQUENCE) && in.Empty() &&
		cert.ReadASN1(&tbs, tags.SEQUENCE) && cert.SkipASN1(tags.SEQUENCE) && cert.SkipASN1(tags.BIT_STRING) && cert.Empty() &&
		tbs.SkipOptionalASN1(tags.Tag(0).Constructed().ContextSpecific()) && tbs.SkipASN1(tags.INTEGER)
	for range 4 { // signature algorithm, issuer, validity, subject
		ok = ok && tbs.SkipASN1(tags.SEQUENCE)
	}
	ok = ok && tbs.ReadASN1Element(&spki, tags.SEQUENCE) &&
		tbs.SkipOptionalASN1(tags.Tag(1).ContextSpecific()) && tbs.SkipOptionalASN1(tags.Tag(2).ContextSpecific()) &&
		tbs.SkipOptionalASN1(tags.Tag(3).Constructed().ContextSpecific()) && tbs.Empty()
	if !ok {
		return nil, fmt.Errorf("%w: not a certificate in DER", cborx.ErrMalformed)
	}
	return spki, nil
}
