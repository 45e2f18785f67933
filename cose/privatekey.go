package cose

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"

	"github.com/cohort-iot/cohort/internal/secret"
)

// PrivateKey signs and agrees with one key pair, as group members do
// (draft-ietf-core-oscore-groupcomm-28, Section 2.5.2). It is immutable, safe for
// concurrent use, and prints as "[redacted]". The standard library does all
// computation with it, in constant time.
type PrivateKey struct {
	pub *PublicKey
	// The secrets are behind a function, into which fmt does not look: whatever holds
	// a PrivateKey in a field, unexported ones included, cannot print them.
	keys func() *privateKeys
}

type privateKeys struct {
	d       secret.Bytes       // Ed25519 seed, X25519 or EC scalar
	ed25519 ed25519.PrivateKey // CurveEd25519
	ecdsa   *ecdsa.PrivateKey  // NIST curves
	ecdh    *ecdh.PrivateKey   // all; mapped for CurveEd25519
}

// maxKeyTries bounds the rejection sampling of GenerateKey. With P-256 one candidate
// in 2^32 is refused, with the others far fewer.
const maxKeyTries = 16

// GenerateKey makes a key pair from random, which is crypto/rand's reader if nil.
//
// Errors: ErrUnsupportedKey, and those of random.
func GenerateKey(crv Curve, random io.Reader) (*PrivateKey, error) {
	if random == nil {
		random = rand.Reader
	}
	size := crv.size()
	if size == 0 {
		return nil, fmt.Errorf("%w: %v", ErrUnsupportedKey, crv)
	}
	d := make(secret.Bytes, size)
	defer d.Wipe()
	for range maxKeyTries {
		if _, err := io.ReadFull(random, d); err != nil {
			return nil, fmt.Errorf("cose: random key: %w", err)
		}
		if crv == CurveP521 {
			d[0] &= 1
		}
		if k, err := NewPrivateKey(crv, d); err == nil {
			return k, nil
		}
	}
	return nil, fmt.Errorf("%w: no acceptable candidate from the random source", ErrKey)
}

// NewPrivateKey makes a private key from its bytes, in the curve's full size: the
// seed for Ed25519, the scalar for X25519 (little endian) and the NIST curves (big
// endian). It copies d.
//
// Errors: ErrUnsupportedKey, ErrKey.
func NewPrivateKey(crv Curve, d []byte) (*PrivateKey, error) {
	size := crv.size()
	if size == 0 {
		return nil, fmt.Errorf("%w: %v", ErrUnsupportedKey, crv)
	}
	if len(d) != size {
		return nil, fmt.Errorf("%w: private key of %d bytes on %v", ErrKey, len(d), crv)
	}
	k := &privateKeys{d: secret.Bytes(d).Clone()}
	scalar := k.d
	if crv == CurveEd25519 {
		k.ed25519 = ed25519.NewKeyFromSeed(d)
		scalar = ed25519Scalar(d)
		defer scalar.Wipe()
	}
	var err error
	if k.ecdh, err = crv.ecdh().NewPrivateKey(scalar); err != nil {
		return nil, fmt.Errorf("%w: private key out of range on %v", ErrKey, crv)
	}
	var x, y []byte
	switch crv {
	case CurveEd25519:
		x = k.ed25519.Public().(ed25519.PublicKey)
	case CurveX25519:
		x = k.ecdh.PublicKey().Bytes()
	default:
		if k.ecdsa, err = ecdsa.ParseRawPrivateKey(crv.elliptic(), d); err != nil {
			return nil, fmt.Errorf("%w: private key out of range on %v", ErrKey, crv)
		}
		point := k.ecdh.PublicKey().Bytes()
		x, y = point[1:1+size], point[1+size:]
	}
	pub, err := NewPublicKey(crv, x, y)
	if err != nil {
		return nil, err
	}
	return &PrivateKey{pub: pub, keys: func() *privateKeys { return k }}, nil
}

// Public returns the public key.
func (k *PrivateKey) Public() *PublicKey { return k.pub }

// Secret returns a copy of the bytes that NewPrivateKey takes, for sealed storage
// and for nothing else.
func (k *PrivateKey) Secret() secret.Bytes { return k.keys().d.Clone() }

// Sign signs msg: PureEdDSA over Ed25519, or ECDSA as the fixed-length r || s.
// EdDSA signatures are deterministic, ECDSA signatures differ each time.
//
// Errors: ErrAlgorithm if alg is no signature algorithm of this curve.
func (k *PrivateKey) Sign(alg Algorithm, msg []byte) ([]byte, error) {
	if err := k.pub.signs(alg); err != nil {
		return nil, err
	}
	if k.pub.crv == CurveEd25519 {
		return ed25519.Sign(k.keys().ed25519, msg), nil
	}
	return signECDSA(k.pub.crv, k.keys().ecdsa, msg)
}

// ECDH returns the shared secret of a static-static agreement with peer, which must
// be on the same curve: the x-coordinate for the NIST curves (NIST SP 800-56A,
// Section 5.7.1.2), the output of X25519 for X25519 and, mapped, for Ed25519 keys
// (draft-ietf-core-oscore-groupcomm-28, Section 2.5.2).
//
// Errors: ErrKey if the curves differ or the result is all zero.
func (k *PrivateKey) ECDH(peer *PublicKey) (secret.Bytes, error) {
	if peer == nil || peer.crv != k.pub.crv {
		return nil, fmt.Errorf("%w: peer key is not on %v", ErrKey, k.pub.crv)
	}
	z, err := k.keys().ecdh.ECDH(peer.ecdh)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	return z, nil
}

// String returns "[redacted]" and the curve.
func (k PrivateKey) String() string {
	if k.pub == nil {
		return "[redacted]"
	}
	return "[redacted] private key on " + k.pub.crv.String()
}

// GoString returns what String returns; it serves %#v.
func (k PrivateKey) GoString() string { return k.String() }

// Format writes what String returns, whatever the verb.
func (k PrivateKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) }

// LogValue makes log/slog print what String returns.
func (k PrivateKey) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalText returns what String returns.
func (k PrivateKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }
