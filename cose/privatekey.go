package cose

import (
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"

	"github.com/cohort-iot/cohort/internal/secret"
)

// PrivateKey signs and agrees with one key pair, as group members do
// (draft-ietf-core-oscore-groupcomm-28, Section 2.5.2). It is immutable, safe for
// concurrent use, and prints as "[redacted]". The standard library does all
// computation with it, in constant time, but for Ed448 and X448, which it lacks and
// which circl computes, and for external keys, which compute for themselves.
type PrivateKey struct {
	pub *PublicKey
	// The secrets are behind a function, into which fmt does not look: whatever holds
	// a PrivateKey in a field, unexported ones included, cannot print them.
	keys func() *privateKeys
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

// Public returns the public key.
func (k *PrivateKey) Public() *PublicKey { return k.pub }

// Secret returns a copy of the bytes that NewPrivateKey takes, for sealed storage
// and for nothing else. It is nil for an external key.
func (k *PrivateKey) Secret() secret.Bytes { return k.keys().d.Clone() }

// CanAgree reports whether the key has a key agreement, without which it has no place
// in the pairwise mode. Only external keys may have none.
func (k *PrivateKey) CanAgree() bool { return k.keys().ecdh != nil }

// Sign signs msg: PureEdDSA over Ed25519 or Ed448, or ECDSA as the fixed-length r || s.
// EdDSA signatures are deterministic, ECDSA signatures differ each time.
//
// Errors: ErrAlgorithm if alg is no signature algorithm of this curve; ErrNoSigner
// for an external key without one, and its own errors.
func (k *PrivateKey) Sign(alg Algorithm, msg []byte) ([]byte, error) {
	if err := k.pub.signs(alg); err != nil {
		return nil, err
	}
	sign := k.keys().sign
	if sign == nil {
		return nil, ErrNoSigner
	}
	return sign(alg, msg)
}

// ECDH returns the shared secret of a static-static agreement with peer, which must
// be on the same curve: the x-coordinate for the NIST curves (NIST SP 800-56A,
// Section 5.7.1.2), the output of X25519 or X448 for keys on these curves and,
// mapped, for Ed25519 and Ed448 keys (draft-ietf-core-oscore-groupcomm-28,
// Section 2.5.2).
//
// Errors: ErrKey if the curves differ or the result is all zero; ErrNoAgreement for
// an external key without one, and its own errors.
func (k *PrivateKey) ECDH(peer *PublicKey) (secret.Bytes, error) {
	if peer == nil || peer.crv != k.pub.crv {
		return nil, fmt.Errorf("%w: peer key is not on %v", ErrKey, k.pub.crv)
	}
	agree := k.keys().ecdh
	if agree == nil {
		return nil, ErrNoAgreement
	}
	z, err := agree(peer)
	if err != nil {
		return nil, err
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
