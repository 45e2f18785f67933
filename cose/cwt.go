package cose

import (
	"fmt"

	"github.com/cohort-iot/cohort/internal/cborx"
)

// parseCWT parses a CWT (RFC 8392) that is signed, a COSE_Sign1 whose payload is a
// CWT Claims Set with a COSE_Key in cnf. Header parameters are not looked at, but for
// alg, which must be protected, and crit, which is refused.
func (c *Credential) parseCWT(raw []byte) error {
	if tag, content, ok := cborx.CutTag(raw); ok {
		if tag == tagCWT { // it must be around a COSE tag (RFC 8392, Section 6)
			tag, content, ok = cborx.CutTag(content)
		}
		if !ok || tag != tagSign1 {
			return fmt.Errorf("%w: CWT without the tag of COSE_Sign1", cborx.ErrMalformed)
		}
		raw = content
	}
	s, h, err := parseSign1(raw)
	if err != nil {
		return err
	}
	if err := signedCWT(h); err != nil {
		return err
	}
	if len(s.Signature) == 0 {
		return fmt.Errorf("%w: empty signature", cborx.ErrMalformed)
	}
	c.raw = raw
	return c.parseClaims(s.Payload)
}

// signedCWT refuses algorithms that do not sign: an untagged COSE_Mac0 has the same
// shape as a COSE_Sign1. The issuer may use signatures that are unknown here, by
// number or by name.
func signedCWT(h headers) error {
	item := h.protected[int64(headerLabelAlg)]
	if _, err := cborx.Text(item); err == nil {
		return nil
	}
	alg, err := h.alg()
	if err != nil {
		return err
	}
	_, cipher := alg.Cipher()
	if cipher || alg.IsHMAC() || alg == AlgHMAC256_64 || alg.IsKeyAgreement() {
		return fmt.Errorf("%w: CWT protected with %v, not signed", cborx.ErrMalformed, alg)
	}
	return nil
}

// NewCWT makes a CWT with the given subject, which may be empty, and key, signed by
// an issuer: 18([<< {1: alg} >>, {}, << {2: subject, 8: {1: COSE_Key}} >>, signature])
// without the tag.
//
// Errors: ErrCredential, and those of issuer.Sign.
func NewCWT(subject string, pub *PublicKey, alg Algorithm, issuer *PrivateKey) (*Credential, error) {
	claims, err := NewCCS(subject, pub)
	if err != nil {
		return nil, err
	}
	raw, err := SealSign1(alg, issuer, nil, nil, claims.raw)
	if err != nil {
		return nil, err
	}
	return ParseCredential(FormatCWT, raw)
}
