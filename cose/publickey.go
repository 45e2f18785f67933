package cose

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"fmt"
	"sync/atomic"

	"github.com/cloudflare/circl/dh/x448"

	"github.com/cohort-iot/cohort/internal/cborx"
)

// PublicKey is a public key on one of the supported curves, checked once. It is
// immutable and safe for concurrent use; keep it as long as its owner is known,
// because it caches what makes verification faster.
type PublicKey struct {
	crv    Curve
	x, y   []byte // y is nil for OKP keys
	alg    Algorithm
	keyOps []int64 // nil if absent

	ecdsa   *ecdsa.PublicKey // NIST curves
	ecdh    *ecdh.PublicKey  // NIST curves; X25519; the mapped key for Ed25519
	x448    *x448.Key        // X448; the mapped key for Ed448
	used    atomic.Bool      // verified with before
	ed25519 atomic.Pointer[ed25519Verifier]
}

// NewPublicKey makes a public key from coordinates: x and y big endian in the
// curve's full size for the NIST curves, y nil for the others: x is the encoding of
// RFC 8032 for Ed25519 (32 bytes) and Ed448 (57 bytes), that of RFC 7748 for X25519
// (32 bytes) and X448 (56 bytes).
//
// Errors: ErrUnsupportedKey; ErrKey for a wrong size, a point off its curve or of
// small order, and for Ed25519 and Ed448 also for y >= p, y = 1 and y = -1.
func NewPublicKey(crv Curve, x, y []byte) (*PublicKey, error) {
	k := &PublicKey{crv: crv, x: bytes.Clone(x), y: bytes.Clone(y)}
	if err := k.check(); err != nil {
		return nil, err
	}
	return k, nil
}

// check validates the coordinates and prepares what the curve needs.
func (k *PublicKey) check() (err error) {
	size := k.crv.size()
	if size == 0 {
		return fmt.Errorf("%w: %v", ErrUnsupportedKey, k.crv)
	}
	if len(k.x) != size {
		return fmt.Errorf("%w: x of %d bytes on %v", ErrKey, len(k.x), k.crv)
	}
	if k.crv.KeyType() == KeyTypeOKP {
		if k.y != nil {
			return fmt.Errorf("%w: y on %v", ErrKey, k.crv)
		}
		return k.checkOKP()
	}
	if len(k.y) != size {
		return fmt.Errorf("%w: y of %d bytes on %v", ErrKey, len(k.y), k.crv)
	}
	point := make([]byte, 0, 1+2*size)
	point = append(append(append(point, 4), k.x...), k.y...)
	if k.ecdsa, err = ecdsa.ParseUncompressedPublicKey(k.crv.elliptic(), point); err != nil {
		return fmt.Errorf("%w: point is not on %v", ErrKey, k.crv)
	}
	if k.ecdh, err = k.crv.ecdh().NewPublicKey(point); err != nil {
		return fmt.Errorf("%w: point is not on %v", ErrKey, k.crv)
	}
	return nil
}

func (k *PublicKey) checkOKP() (err error) {
	switch k.crv {
	case CurveX448:
		k.x448 = (*x448.Key)(bytes.Clone(k.x))
		return k.probe()
	case CurveEd448:
		k.x448, err = mapEd448(k.x)
		return err
	case CurveX25519:
		if k.ecdh, err = ecdh.X25519().NewPublicKey(k.x); err != nil {
			return fmt.Errorf("%w: %w", ErrKey, err)
		}
		return k.probe()
	}
	u, err := mapEd25519(k.x)
	if err != nil {
		return err
	}
	if k.ecdh, err = ecdh.X25519().NewPublicKey(u); err != nil {
		return fmt.Errorf("%w: %w", ErrKey, err)
	}
	return nil
}

// probe refuses Montgomery keys of small order, with which every shared secret is
// zero (RFC 7748, Section 6): one made with any private key shows it.
func (k *PublicKey) probe() error {
	if k.crv == CurveX448 {
		var z x448.Key
		if !x448.Shared(&z, &x448.Key{1}, k.x448) {
			return fmt.Errorf("%w: X448 point of small order", ErrKey)
		}
		return nil
	}
	own, err := ecdh.X25519().NewPrivateKey(make([]byte, 32))
	if err != nil {
		return fmt.Errorf("cose: %w", err)
	}
	if _, err := own.ECDH(k.ecdh); err != nil {
		return fmt.Errorf("%w: X25519 point of small order", ErrKey)
	}
	return nil
}

// agreementPoint returns the public key as it enters key agreement on the curve's
// agreementCurve: a u-coordinate, or an uncompressed point (SEC 1, Section 2.3.3).
func (k *PublicKey) agreementPoint() []byte {
	if k.x448 != nil {
		return bytes.Clone(k.x448[:])
	}
	return k.ecdh.Bytes()
}

// Kty returns the key type.
func (k *PublicKey) Kty() KeyType { return k.crv.KeyType() }

// Curve returns the curve.
func (k *PublicKey) Curve() Curve { return k.crv }

// X returns the x-coordinate, or the whole encoded point for OKP keys, as a copy.
func (k *PublicKey) X() []byte { return bytes.Clone(k.x) }

// Y returns the y-coordinate as a copy; nil for OKP keys.
func (k *PublicKey) Y() []byte { return bytes.Clone(k.y) }

// Alg returns the algorithm to which the COSE_Key restricts itself; 0 if it does not.
func (k *PublicKey) Alg() Algorithm { return k.alg }

// Equal reports whether both are the same point on the same curve.
func (k *PublicKey) Equal(o *PublicKey) bool {
	return o != nil && k.crv == o.crv && bytes.Equal(k.x, o.x) && bytes.Equal(k.y, o.y)
}

// MarshalCBOR encodes the key as a deterministic COSE_Key map: kty, alg if the key
// is restricted to one, crv, x, and y in full.
func (k *PublicKey) MarshalCBOR() ([]byte, error) { return k.append(nil), nil }

func (k *PublicKey) append(dst []byte) []byte {
	n := 3
	if k.alg != 0 {
		n++
	}
	if k.y != nil {
		n++
	}
	dst = cborx.AppendMap(dst, n)
	dst = cborx.AppendInt(cborx.AppendInt(dst, keyLabelKty), int64(k.Kty()))
	if k.alg != 0 {
		dst = cborx.AppendInt(cborx.AppendInt(dst, keyLabelAlg), int64(k.alg))
	}
	dst = cborx.AppendInt(cborx.AppendInt(dst, keyLabelCrv), int64(k.crv))
	dst = cborx.AppendBytes(cborx.AppendInt(dst, keyLabelX), k.x)
	if k.y != nil {
		dst = cborx.AppendBytes(cborx.AppendInt(dst, keyLabelY), k.y)
	}
	return dst
}
