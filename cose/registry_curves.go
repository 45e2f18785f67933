package cose

import (
	"strconv"

	"github.com/cloudflare/circl/dh/x448"
	"github.com/cloudflare/circl/sign/ed448"
)

// Curve is a value of the IANA registry "COSE Elliptic Curves" (RFC 9053, Section 7.1).
type Curve int64

// Values of the registry "COSE Elliptic Curves".
const (
	CurveP256    Curve = 1
	CurveP384    Curve = 2
	CurveP521    Curve = 3
	CurveX25519  Curve = 4
	CurveX448    Curve = 5
	CurveEd25519 Curve = 6
	CurveEd448   Curve = 7
)

// KeyType is a value of the IANA registry "COSE Key Types" (RFC 9053, Section 7).
type KeyType int64

// Values of the registry "COSE Key Types".
const (
	KeyTypeOKP       KeyType = 1
	KeyTypeEC2       KeyType = 2
	KeyTypeSymmetric KeyType = 4
)

// KeyType returns the key type of the curve's keys, 0 if the curve is not supported.
func (c Curve) KeyType() KeyType {
	switch c {
	case CurveP256, CurveP384, CurveP521:
		return KeyTypeEC2
	case CurveX25519, CurveX448, CurveEd25519, CurveEd448:
		return KeyTypeOKP
	}
	return 0
}

// size returns the length in bytes of a coordinate or encoded point, and of a private
// key; 0 if the curve is not supported. Signatures are twice as long.
func (c Curve) size() int {
	switch c {
	case CurveP256, CurveX25519, CurveEd25519:
		return 32
	case CurveP384:
		return 48
	case CurveP521:
		return 66
	case CurveX448:
		return x448.Size
	case CurveEd448:
		return ed448.PublicKeySize
	}
	return 0
}

// String returns the name in the registry, or the number if it is unknown.
func (c Curve) String() string {
	switch c {
	case CurveP256:
		return "P-256"
	case CurveP384:
		return "P-384"
	case CurveP521:
		return "P-521"
	case CurveX25519:
		return "X25519"
	case CurveX448:
		return "X448"
	case CurveEd25519:
		return "Ed25519"
	case CurveEd448:
		return "Ed448"
	}
	return "COSE curve " + strconv.FormatInt(int64(c), 10)
}
