package cose

import (
	"crypto/sha512"
	"fmt"

	"filippo.io/edwards25519"

	"github.com/cohort-iot/cohort/internal/secret"
)

// mapEd25519 maps an Ed25519 public key to the X25519 public key of the same owner,
// u = (1+y)/(1-y) mod p (draft-ietf-core-oscore-groupcomm-28, Section 2.5.2.1).
//
// It refuses encodings with y >= p (RFC 8032, Section 5.1.3), points off the curve,
// y = 1 and y = -1, and the other points of small order, with which a shared secret
// would be a constant and a signature would verify for many messages.
func mapEd25519(x []byte) (u []byte, err error) {
	if len(x) != 32 {
		return nil, fmt.Errorf("%w: Ed25519 key of %d bytes", ErrKey, len(x))
	}
	if !canonicalY(x) {
		return nil, fmt.Errorf("%w: Ed25519 y is not below p", ErrKey)
	}
	p, err := new(edwards25519.Point).SetBytes(x)
	if err != nil {
		return nil, fmt.Errorf("%w: not a point of Ed25519", ErrKey)
	}
	if new(edwards25519.Point).MultByCofactor(p).Equal(edwards25519.NewIdentityPoint()) == 1 {
		return nil, fmt.Errorf("%w: Ed25519 point of small order", ErrKey)
	}
	return p.BytesMontgomery(), nil
}

// canonicalY reports whether the little-endian y of an encoded point, without its
// sign bit, is below p = 2^255 - 19.
func canonicalY(x []byte) bool {
	if x[31]&0x7f != 0x7f {
		return true
	}
	for _, b := range x[1:31] {
		if b != 0xff {
			return true
		}
	}
	return x[0] < 0xed
}

// ed25519Scalar returns the X25519 private key of an Ed25519 seed: the first half
// of its SHA-512, which X25519 clamps as Ed25519 prunes (RFC 8032, Section 5.1.5).
func ed25519Scalar(seed []byte) secret.Bytes {
	h := sha512.Sum512(seed)
	defer clear(h[:])
	return secret.Bytes(h[:32]).Clone()
}
