package cose

import (
	"crypto/sha3"
	"fmt"

	"github.com/cloudflare/circl/dh/x448"
	"github.com/cloudflare/circl/ecc/goldilocks"
	"github.com/cloudflare/circl/math/fp448"
	"github.com/cloudflare/circl/sign/ed448"

	"github.com/cohort-iot/cohort/internal/secret"
)

// edwards448D is -d of the curve edwards448, x^2 + y^2 = 1 + d x^2 y^2 (RFC 8032,
// Section 5.2).
const edwards448D = 39081

// mapEd448 maps an Ed448 public key to the X448 public key of the same owner,
// u = y^2 (d y^2 - 1) / (y^2 - 1) mod p (draft-ietf-core-oscore-groupcomm-28,
// Section 2.5.2.2).
//
// It refuses encodings with y >= p or of no point (RFC 8032, Section 5.2.3), y = 1
// and y = -1, where the map is not defined or degenerate, and y = 0, the other points
// of small order: the curve has cofactor 4.
func mapEd448(x []byte) (*x448.Key, error) {
	if len(x) != ed448.PublicKeySize {
		return nil, fmt.Errorf("%w: Ed448 key of %d bytes", ErrKey, len(x))
	}
	if _, err := goldilocks.FromBytes(x); err != nil {
		return nil, fmt.Errorf("%w: not the encoding of a point of Ed448", ErrKey)
	}
	var y, y2, num, den, u fp448.Elt
	copy(y[:], x)
	one := fp448.One()
	fp448.Sqr(&y2, &y)
	fp448.Sub(&den, &y2, &one) // y^2 - 1
	if fp448.IsZero(&y) || fp448.IsZero(&den) {
		return nil, fmt.Errorf("%w: Ed448 point of small order", ErrKey)
	}
	minusD := fp448.Elt{edwards448D & 0xff, edwards448D >> 8}
	fp448.Mul(&num, &minusD, &y2)
	fp448.Add(&num, &num, &one)
	fp448.Neg(&num, &num) // d y^2 - 1
	fp448.Inv(&den, &den)
	fp448.Mul(&u, &y2, &num)
	fp448.Mul(&u, &u, &den)
	out := new(x448.Key)
	if err := fp448.ToBytes(out[:], &u); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	return out, nil
}

// ed448Scalar returns the X448 private key of an Ed448 seed: of the 57 bytes that are
// the lower half of its SHAKE256 the first 56, which X448 clamps as Ed448 prunes; the
// last one Ed448 clears (RFC 8032, Section 5.2.5).
func ed448Scalar(seed []byte) secret.Bytes {
	h := sha3.SumSHAKE256(seed, 2*ed448.SeedSize)
	defer clear(h)
	return secret.Bytes(h[:x448.Size]).Clone()
}
