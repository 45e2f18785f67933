package cose

import (
	"encoding/asn1"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	tags "golang.org/x/crypto/cryptobyte/asn1"
)

// parseSPKI parses a SubjectPublicKeyInfo (RFC 5280, Section 4.1.2.7), of which
// algorithm and parameters tell the curve (RFC 5480, Section 2; RFC 8410, Section 3).
func parseSPKI(der []byte) (*PublicKey, error) {
	in := cryptobyte.String(der)
	var info, algorithm, point cryptobyte.String
	var oid asn1.ObjectIdentifier
	if !in.ReadASN1(&info, tags.SEQUENCE) || !in.Empty() ||
		!info.ReadASN1(&algorithm, tags.SEQUENCE) || !algorithm.ReadASN1ObjectIdentifier(&oid) ||
		!info.ReadASN1BitStringAsBytes((*[]byte)(&point)) || !info.Empty() {
		return nil, fmt.Errorf("%w: malformed SubjectPublicKeyInfo", ErrKey)
	}
	switch oid.String() {
	case "1.2.840.10045.2.1": // id-ecPublicKey
		var named asn1.ObjectIdentifier
		if !algorithm.ReadASN1ObjectIdentifier(&named) || !algorithm.Empty() {
			return nil, fmt.Errorf("%w: elliptic curve without a name", ErrUnsupportedKey)
		}
		switch named.String() {
		case "1.2.840.10045.3.1.7":
			return parsePoint(CurveP256, point)
		case "1.3.132.0.34":
			return parsePoint(CurveP384, point)
		case "1.3.132.0.35":
			return parsePoint(CurveP521, point)
		}
		return nil, fmt.Errorf("%w: elliptic curve %v", ErrUnsupportedKey, named)
	case "1.3.101.110":
		return parseOKP(CurveX25519, algorithm, point)
	case "1.3.101.111":
		return parseOKP(CurveX448, algorithm, point)
	case "1.3.101.112":
		return parseOKP(CurveEd25519, algorithm, point)
	case "1.3.101.113":
		return parseOKP(CurveEd448, algorithm, point)
	}
	return nil, fmt.Errorf("%w: public key algorithm %v", ErrUnsupportedKey, oid)
}

// parseOKP makes a key whose algorithm must have no parameters (RFC 8410, Section 3).
func parseOKP(crv Curve, parameters cryptobyte.String, x []byte) (*PublicKey, error) {
	if !parameters.Empty() {
		return nil, fmt.Errorf("%w: parameters on %v", ErrKey, crv)
	}
	return NewPublicKey(crv, x, nil)
}

// parsePoint makes a key on a NIST curve from an encoded point, which may be
// compressed (SEC 1, Section 2.3.4).
func parsePoint(crv Curve, point []byte) (*PublicKey, error) {
	size := crv.size()
	switch {
	case len(point) == 1+2*size && point[0] == 4:
		return NewPublicKey(crv, point[1:1+size], point[1+size:])
	case len(point) == 1+size && (point[0] == 2 || point[0] == 3):
		y := decompress(crv, point[1:], point[0] == 3)
		if y == nil {
			return nil, fmt.Errorf("%w: point is not on %v", ErrKey, crv)
		}
		return NewPublicKey(crv, point[1:], y)
	}
	return nil, fmt.Errorf("%w: point of %d bytes on %v", ErrKey, len(point), crv)
}

// restrict holds a key to the key usage of its certificate: without digitalSignature
// it verifies nothing (RFC 5280, Section 4.2.1.3). Key agreement is not held to
// keyAgreement, because Group OSCORE agrees with keys that are certified for
// signatures (draft-ietf-core-oscore-groupcomm-28, Section 2.5).
func (k *PublicKey) restrict(digitalSignature bool) {
	if !digitalSignature {
		k.keyOps = []int64{keyOpDeriveKey, keyOpDeriveBits}
	}
}
