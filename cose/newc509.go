package cose

import (
	"fmt"
	"io"
	"time"

	"github.com/cohort-iot/cohort/internal/cborx"
)

// Values of the registry "C509 Signature Algorithms" that are made here
// (draft-ietf-cose-cbor-encoded-cert-20, Section 8.14).
const (
	c509ECDSA256 = 0
	c509ECDSA384 = 1
	c509ECDSA512 = 2
	c509Ed25519  = 12
	c509Ed448    = 13
)

// keyUsageSignature is the extension keyUsage with digitalSignature only, which
// stands for itself where it is the only extension (Section 3.3 of the draft).
const keyUsageSignature = 1

// NewC509 makes a C509 certificate of a key pair, natively signed with that key
// itself, for signatures, from notBefore and without end
// (draft-ietf-cose-cbor-encoded-cert-20, Section 3.1). See [NewX509].
//
// Errors: ErrCredentialFormat unless f is FormatC509Chain or FormatC509Bag;
// ErrUnsupportedKey for keys that do not sign, and those of key.Sign.
func NewC509(f CredentialFormat, subject string, key *PrivateKey, notBefore time.Time, random io.Reader) (*Credential, error) {
	if f != FormatC509Chain && f != FormatC509Bag {
		return nil, fmt.Errorf("%w: %v", ErrCredentialFormat, f)
	}
	pub := key.Public()
	var signature, kind int
	var alg Algorithm
	switch pub.Curve() {
	case CurveP256:
		signature, kind, alg = c509ECDSA256, c509KeyP256, AlgES256
	case CurveP384:
		signature, kind, alg = c509ECDSA384, c509KeyP384, AlgES384
	case CurveP521:
		signature, kind, alg = c509ECDSA512, c509KeyP521, AlgES512
	case CurveEd25519:
		signature, kind, alg = c509Ed25519, c509KeyEd25519, AlgEdDSA
	case CurveEd448:
		signature, kind, alg = c509Ed448, c509KeyEd448, AlgEdDSA
	default:
		return nil, fmt.Errorf("%w: %v does not sign", ErrUnsupportedKey, pub.Curve())
	}
	point := pub.X()
	if y := pub.Y(); y != nil { // compressed (SEC 1, Section 2.3.3)
		point = append([]byte{2 | y[len(y)-1]&1}, point...)
	}
	serial, err := newSerial(random)
	if err != nil {
		return nil, err
	}
	var tbs []byte
	for _, item := range []any{2, serial, signature, nil, notBefore.Unix(), nil, subject, kind, point, keyUsageSignature} {
		b, err := cborx.Marshal(item)
		if err != nil {
			return nil, err
		}
		tbs = append(tbs, b...)
	}
	sig, err := key.Sign(alg, tbs)
	if err != nil {
		return nil, err
	}
	return ParseCredential(f, cborx.AppendBytes(append([]byte{c509Head}, tbs...), sig))
}
