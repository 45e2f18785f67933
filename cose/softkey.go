package cose

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"fmt"

	"github.com/cloudflare/circl/dh/x448"
	"github.com/cloudflare/circl/sign/ed448"

	"github.com/cohort-iot/cohort/internal/secret"
)

// privateKeys is what a PrivateKey can do. sign and ecdh are nil where the key cannot.
type privateKeys struct {
	d    secret.Bytes // Ed25519 or Ed448 seed, X25519, X448 or EC scalar; nil if kept outside
	sign func(alg Algorithm, msg []byte) ([]byte, error)
	ecdh func(peer *PublicKey) ([]byte, error) // a peer on the same curve
}

// NewPrivateKey makes a private key from its bytes, in the curve's full size: the
// seed for Ed25519 and Ed448, the scalar for X25519 and X448 (little endian) and for
// the NIST curves (big endian). It copies d.
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
	var x, y []byte
	var err error
	switch crv {
	case CurveEd448, CurveX448:
		x = k.init448(crv)
	case CurveEd25519, CurveX25519:
		x, err = k.init25519(crv)
	default:
		x, y, err = k.initEC(crv)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: private key out of range on %v", ErrKey, crv)
	}
	pub, err := NewPublicKey(crv, x, y)
	if err != nil {
		return nil, err
	}
	return &PrivateKey{pub: pub, keys: func() *privateKeys { return k }}, nil
}

// init25519 sets up a key on Ed25519 or X25519 and returns its public part.
func (k *privateKeys) init25519(crv Curve) (x []byte, err error) {
	scalar := k.d
	if crv == CurveEd25519 {
		key := ed25519.NewKeyFromSeed(k.d)
		k.sign = func(_ Algorithm, msg []byte) ([]byte, error) { return ed25519.Sign(key, msg), nil }
		x = key.Public().(ed25519.PublicKey)
		scalar = ed25519Scalar(k.d)
		defer scalar.Wipe()
	}
	dh, err := crv.ecdh().NewPrivateKey(scalar)
	if err != nil {
		return nil, err
	}
	if crv == CurveX25519 {
		x = dh.PublicKey().Bytes()
	}
	k.ecdh = agreeStd(dh)
	return x, nil
}

// init448 sets up a key on Ed448 or X448 and returns its public part.
func (k *privateKeys) init448(crv Curve) (x []byte) {
	scalar := k.d
	if crv == CurveEd448 {
		key := ed448.NewKeyFromSeed(k.d)
		k.sign = func(_ Algorithm, msg []byte) ([]byte, error) { return ed448.Sign(key, msg, ""), nil }
		x = key[ed448.SeedSize:]
		scalar = ed448Scalar(k.d)
		defer scalar.Wipe()
	}
	dh := x448.Key(scalar)
	if crv == CurveX448 {
		var pub x448.Key
		x448.KeyGen(&pub, &dh)
		x = pub[:]
	}
	k.ecdh = func(peer *PublicKey) ([]byte, error) {
		var z x448.Key
		if !x448.Shared(&z, &dh, peer.x448) {
			return nil, fmt.Errorf("%w: point of small order", ErrKey)
		}
		return z[:], nil
	}
	return x
}

// initEC sets up a key on a NIST curve and returns its public part.
func (k *privateKeys) initEC(crv Curve) (x, y []byte, err error) {
	dh, err := crv.ecdh().NewPrivateKey(k.d)
	if err != nil {
		return nil, nil, err
	}
	key, err := ecdsa.ParseRawPrivateKey(crv.elliptic(), k.d)
	if err != nil {
		return nil, nil, err
	}
	k.sign = func(_ Algorithm, msg []byte) ([]byte, error) { return signECDSA(crv, key, msg) }
	k.ecdh = agreeStd(dh)
	point := dh.PublicKey().Bytes()
	return point[1 : 1+crv.size()], point[1+crv.size():], nil
}

// agreeStd is key agreement by the standard library.
func agreeStd(dh *ecdh.PrivateKey) func(peer *PublicKey) ([]byte, error) {
	return func(peer *PublicKey) ([]byte, error) {
		z, err := dh.ECDH(peer.ecdh)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrKey, err)
		}
		return z, nil
	}
}
