package cose

import (
	"bytes"
	"fmt"

	"github.com/cohort-iot/cohort/internal/cborx"
)

// Sign1 is a parsed COSE_Sign1 (RFC 9052, Section 4.2).
type Sign1 struct {
	Alg              Algorithm // from the protected headers
	KID              []byte    // nil if absent; a hint until the signature is verified
	Protected        []byte    // serialised protected headers, as they came
	Payload          []byte    // not authentic until verified
	Signature        []byte
	UnprotectedEmpty bool // everything is in the protected headers
}

// SealSign1 signs payload in an untagged COSE_Sign1 with all headers protected and
// the unprotected map empty:
//
//	[<< {1: alg, 4: kid} >>, {}, payload, signature]
//
// A nil kid is left out.
//
// Errors: those of PrivateKey.Sign.
func SealSign1(alg Algorithm, key *PrivateKey, kid, externalAAD, payload []byte) ([]byte, error) {
	n := 1
	if kid != nil {
		n++
	}
	protected := cborx.AppendMap(nil, n)
	protected = cborx.AppendInt(cborx.AppendInt(protected, headerLabelAlg), int64(alg))
	if kid != nil {
		protected = cborx.AppendBytes(cborx.AppendInt(protected, headerLabelKid), kid)
	}
	sig, err := key.Sign(alg, AppendSigStructure(nil, protected, externalAAD, payload))
	if err != nil {
		return nil, err
	}
	msg := cborx.AppendArray(nil, 4)
	msg = cborx.AppendBytes(msg, protected)
	msg = cborx.AppendMap(msg, 0)
	msg = cborx.AppendBytes(msg, payload)
	return cborx.AppendBytes(msg, sig), nil
}

// AppendSigStructure appends the Sig_structure of a COSE_Sign1, which is what its
// signature covers (RFC 9052, Section 4.4):
//
//	["Signature1", protected: bstr, external_aad: bstr, payload: bstr]
func AppendSigStructure(dst, protected, externalAAD, payload []byte) []byte {
	dst = cborx.AppendArray(dst, 4)
	dst = cborx.AppendText(dst, "Signature1")
	dst = cborx.AppendBytes(dst, protected)
	dst = cborx.AppendBytes(dst, externalAAD)
	return cborx.AppendBytes(dst, payload)
}

// ParseSign1 parses an untagged COSE_Sign1 with its payload inside. alg must be a
// protected integer; kid may be in either bucket. Other header parameters are refused,
// because RFC 8392, Section 7.2 wants every one understood.
//
// Errors: ErrMessage.
func ParseSign1(b []byte) (*Sign1, error) {
	s, h, err := parseSign1(bytes.Clone(b))
	if err == nil {
		err = h.only(headerLabelAlg, headerLabelKid)
	}
	if err == nil {
		s.Alg, err = h.alg()
	}
	if err == nil {
		s.KID, err = h.bytes(headerLabelKid)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMessage, err)
	}
	return s, nil
}

// parseSign1 parses the structure of an untagged COSE_Sign1 and leaves the header
// parameters to the caller.
func parseSign1(b []byte) (s *Sign1, h headers, err error) {
	parts, err := parseArray(b)
	if err != nil {
		return nil, h, err
	}
	if len(parts) != 4 {
		return nil, h, fmt.Errorf("%w: COSE_Sign1 has %d elements", cborx.ErrMalformed, len(parts))
	}
	s = new(Sign1)
	if s.Protected, err = cborx.Bytes(parts[0]); err != nil {
		return nil, h, fmt.Errorf("protected: %w", err)
	}
	if h, err = parseHeaders(s.Protected, parts[1]); err != nil {
		return nil, h, err
	}
	s.UnprotectedEmpty = len(h.unprotected) == 0
	if s.Payload, err = cborx.Bytes(parts[2]); err != nil {
		return nil, h, fmt.Errorf("payload: %w", err)
	}
	if s.Signature, err = cborx.Bytes(parts[3]); err != nil {
		return nil, h, fmt.Errorf("signature: %w", err)
	}
	return s, h, nil
}

// Verify checks the signature.
//
// Errors: those of PublicKey.Verify.
func (s *Sign1) Verify(pub *PublicKey, externalAAD []byte) error {
	return pub.Verify(s.Alg, AppendSigStructure(nil, s.Protected, externalAAD, s.Payload), s.Signature)
}
