package cose

import (
	"fmt"

	"github.com/cohort-iot/cohort/internal/cborx"
)

// Values of the registry "C509 Public Key Algorithms" that are supported
// (draft-ietf-cose-cbor-encoded-cert-20, Section 8.15).
const (
	c509KeyP256    = 1
	c509KeyP384    = 2
	c509KeyP521    = 3
	c509KeyX25519  = 8
	c509KeyX448    = 9
	c509KeyEd25519 = 12
	c509KeyEd448   = 13
)

// First byte of a point that was uncompressed in the X.509 certificate and is
// compressed in its re-encoding (Section 3.2.1 of the draft), and what it stands for.
const (
	c509EvenY = 0xfe // 0x02
	c509OddY  = 0xfd // 0x03
)

// c509PublicKey reads subjectPublicKeyAlgorithm and subjectPublicKey. An algorithm by
// its OID is none of the supported ones, which have numbers that must be used
// (Section 3.7 of the draft).
func c509PublicKey(native bool, algorithm, key []byte) (*PublicKey, error) {
	alg, err := cborx.Int(algorithm)
	if err != nil {
		if err := c509AlgorithmIdentifier(algorithm); err != nil {
			return nil, fmt.Errorf("public key algorithm: %w", err)
		}
		return nil, fmt.Errorf("%w: public key algorithm by OID", ErrUnsupportedKey)
	}
	crv := Curve(0)
	switch alg {
	case c509KeyP256:
		crv = CurveP256
	case c509KeyP384:
		crv = CurveP384
	case c509KeyP521:
		crv = CurveP521
	case c509KeyX25519:
		crv = CurveX25519
	case c509KeyX448:
		crv = CurveX448
	case c509KeyEd25519:
		crv = CurveEd25519
	case c509KeyEd448:
		crv = CurveEd448
	default:
		return nil, fmt.Errorf("%w: C509 public key algorithm %d", ErrUnsupportedKey, alg)
	}
	point, err := cborx.Bytes(key)
	if err != nil {
		return nil, fmt.Errorf("%w: subject public key: %w", ErrKey, err)
	}
	if crv.KeyType() == KeyTypeOKP {
		return NewPublicKey(crv, point, nil)
	}
	if !native && len(point) > 0 {
		switch point[0] {
		case c509EvenY:
			point = append([]byte{2}, point[1:]...)
		case c509OddY:
			point = append([]byte{3}, point[1:]...)
		}
	}
	return parsePoint(crv, point)
}
