package cose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"io"

	"github.com/cloudflare/circl/sign/ed448"
)

// Agreement is the key agreement of a private key that is kept outside, in an HSM, a
// TPM or another process. It must be safe for concurrent use.
type Agreement interface {
	// ECDH returns the raw shared secret of the private key and a peer's public key,
	// without any derivation: the x-coordinate in the field's full size, big endian,
	// for a NIST curve; the output of X25519 or X448. crv is P-256, P-384 or P-521,
	// where peer is an uncompressed point (0x04 || x || y), or X25519 or X448, where
	// peer is a u-coordinate: for keys on Ed25519 and Ed448 too, whose private key is
	// then the one that signs, in its mapped form (draft-ietf-core-oscore-groupcomm-28,
	// Section 2.5.2). The peer's key has been validated.
	ECDH(crv Curve, peer []byte) ([]byte, error)
}

// External says how to use a private key that is kept outside. At least one of Signer
// and Agreement is needed; a key without Signer does not sign, so it has no place in
// a group with group mode, and one without Agreement has none in the pairwise mode.
type External struct {
	// Public is the public key. It may be nil if there is a Signer, whose own is then
	// taken; if both are there they must be the same.
	Public *PublicKey
	// Signer signs with Ed25519 or Ed448, given the message and crypto.Hash(0), or
	// with ECDSA, given the digest, returning ASN.1 as crypto/ecdsa does. It must be
	// safe for concurrent use. Its Public must be ed25519.PublicKey,
	// *ecdsa.PublicKey, or ed448.PublicKey of github.com/cloudflare/circl.
	Signer crypto.Signer
	// Agreement makes shared secrets.
	Agreement Agreement
}

// Format writes a placeholder, whatever the verb: a Signer may be a key in memory.
func (External) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[external private key]") }

// NewExternalKey makes a PrivateKey whose secret is somewhere else. Its Secret is nil;
// otherwise it serves like any other. Each signature that Signer gives is verified
// before it is returned, so that a faulty device is noticed at its first.
//
// Errors: ErrKey, ErrUnsupportedKey if the Signer's key is of another kind.
func NewExternalKey(e External) (*PrivateKey, error) {
	pub := e.Public
	if e.Signer != nil {
		own, err := signerPublic(e.Signer)
		if err != nil {
			return nil, err
		}
		if pub == nil {
			pub = own
		}
		if !pub.Equal(own) {
			return nil, fmt.Errorf("%w: the signer has another public key", ErrKey)
		}
	}
	if pub == nil {
		return nil, fmt.Errorf("%w: external key without public key", ErrKey)
	}
	if e.Signer == nil && e.Agreement == nil {
		return nil, fmt.Errorf("%w: external key that neither signs nor agrees", ErrKey)
	}
	k := new(privateKeys)
	if e.Signer != nil {
		k.sign = func(alg Algorithm, msg []byte) ([]byte, error) { return signExternal(pub, e.Signer, alg, msg) }
	}
	if e.Agreement != nil {
		k.ecdh = func(peer *PublicKey) ([]byte, error) { return agreeExternal(pub, e.Agreement, peer) }
	}
	return &PrivateKey{pub: pub, keys: func() *privateKeys { return k }}, nil
}

// signerPublic returns the public key of a signer.
func signerPublic(s crypto.Signer) (*PublicKey, error) {
	switch p := s.Public().(type) {
	case ed25519.PublicKey:
		return NewPublicKey(CurveEd25519, p, nil)
	case ed448.PublicKey:
		return NewPublicKey(CurveEd448, p, nil)
	case *ecdsa.PublicKey:
		if p == nil {
			break
		}
		for _, crv := range []Curve{CurveP256, CurveP384, CurveP521} {
			if p.Curve != crv.elliptic() {
				continue
			}
			point, err := p.Bytes()
			if err != nil {
				return nil, fmt.Errorf("%w: %w", ErrKey, err)
			}
			return NewPublicKey(crv, point[1:1+crv.size()], point[1+crv.size():])
		}
	}
	return nil, fmt.Errorf("%w: signer with a public key of type %T", ErrUnsupportedKey, s.Public())
}

func signExternal(pub *PublicKey, s crypto.Signer, alg Algorithm, msg []byte) ([]byte, error) {
	digest, hash := msg, crypto.Hash(0)
	if pub.ecdsa != nil {
		digest, hash = ecdsaDigest(pub.crv, msg), ecdsaHash(pub.crv)
	}
	sig, err := s.Sign(rand.Reader, digest, hash)
	if err != nil {
		return nil, fmt.Errorf("cose: external signer: %w", err)
	}
	if pub.ecdsa != nil {
		if sig, err = rawECDSA(pub.crv, sig); err != nil {
			return nil, fmt.Errorf("cose: external signer: %w", err)
		}
	}
	if err := pub.Verify(alg, msg, sig); err != nil {
		return nil, fmt.Errorf("cose: external signer: %w", err)
	}
	return sig, nil
}

func agreeExternal(pub *PublicKey, a Agreement, peer *PublicKey) ([]byte, error) {
	crv := pub.crv.agreementCurve()
	z, err := a.ECDH(crv, peer.agreementPoint())
	if err != nil {
		return nil, fmt.Errorf("cose: external key agreement: %w", err)
	}
	if len(z) != crv.size() {
		return nil, fmt.Errorf("%w: external key agreement gave %d bytes on %v", ErrKey, len(z), crv)
	}
	if pub.Kty() == KeyTypeOKP && subtle.ConstantTimeCompare(z, make([]byte, len(z))) == 1 {
		return nil, fmt.Errorf("%w: shared secret is all zero", ErrKey)
	}
	return z, nil
}
