package cose

import (
	"crypto/ecdsa"
	"fmt"
	"math/big"
	"slices"

	"github.com/cloudflare/circl/sign/ed448"
)

// SignatureSize returns the length in bytes of this key's signatures under alg. For
// EdDSA it is the key's curve that decides: 64 bytes on Ed25519, 114 on Ed448.
//
// Errors: ErrAlgorithm if alg is no signature algorithm of this curve, or another
// one than the key restricts itself to.
func (k *PublicKey) SignatureSize(alg Algorithm) (int, error) {
	if err := k.signs(alg); err != nil {
		return 0, err
	}
	return 2 * k.crv.size(), nil
}

// signs returns nil if the key may be used with the signature algorithm.
func (k *PublicKey) signs(alg Algorithm) error {
	if !alg.signsOn(k.crv) {
		return fmt.Errorf("%w: %v with a key on %v", ErrAlgorithm, alg, k.crv)
	}
	if k.alg != 0 && !k.alg.signsOn(k.crv) {
		return fmt.Errorf("%w: key is restricted to %v", ErrAlgorithm, k.alg)
	}
	if len(k.keyOps) > 0 && !slices.Contains(k.keyOps, keyOpVerify) && !slices.Contains(k.keyOps, keyOpSign) {
		return fmt.Errorf("%w: key operations exclude signatures", ErrKey)
	}
	return nil
}

// Verify checks a signature over msg: EdDSA over Ed25519 (RFC 8032, as the standard
// library judges) or Ed448 without a context, or ECDSA as the fixed-length r || s
// (RFC 9053, Sections 2.1 and 2.2).
//
// Errors: ErrSignature if it does not verify; ErrAlgorithm or ErrKey if the key may
// not be used with alg.
func (k *PublicKey) Verify(alg Algorithm, msg, sig []byte) error {
	if err := k.signs(alg); err != nil {
		return err
	}
	if len(sig) != 2*k.crv.size() {
		return fmt.Errorf("%w: %d bytes", ErrSignature, len(sig))
	}
	ok := false
	switch k.crv {
	case CurveEd25519:
		ok = k.verifyEd25519(msg, sig)
	case CurveEd448:
		ok = ed448.Verify(k.x, msg, sig, "")
	default:
		r := new(big.Int).SetBytes(sig[:len(sig)/2])
		s := new(big.Int).SetBytes(sig[len(sig)/2:])
		ok = ecdsa.Verify(k.ecdsa, ecdsaDigest(k.crv, msg), r, s)
	}
	if !ok {
		return ErrSignature
	}
	return nil
}
