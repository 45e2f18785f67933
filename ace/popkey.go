package ace

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cohort-iot/cohort/ace/internal/wire"
	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/secret"
)

// ErrPoPKey is wrapped when a key that a token is bound to lacks what its type needs, is of an unknown type, or must not be used
// as it would have to be.
var ErrPoPKey = errors.New("unusable proof-of-possession key")

// PoPKey is the COSE_Key of a confirmation (RFC 8747, Section 3.2): a public key, or a symmetric one.
type PoPKey struct {
	Public    *cose.PublicKey // nil for a symmetric key
	Symmetric secret.Hidden   // absent for a public key
	KID       []byte          // nil if absent; an index, not unique among Clients or Resource Servers
	Alg       cose.Algorithm  // the one algorithm it is for; 0: any that fits
	Ops       []KeyOp         // what it is for; nil: anything
}

// KeyOp is a value of the registry COSE Key Operations (RFC 9052, Section 7.1).
type KeyOp int64

// Registered key operations.
const (
	OpSign       KeyOp = 1
	OpVerify     KeyOp = 2
	OpEncrypt    KeyOp = 3
	OpDecrypt    KeyOp = 4
	OpWrap       KeyOp = 5
	OpUnwrap     KeyOp = 6
	OpDeriveKey  KeyOp = 7
	OpDeriveBits KeyOp = 8
	OpMAC        KeyOp = 9
	OpVerifyMAC  KeyOp = 10
)

// Labels of COSE_Key (RFC 9052, Section 7.1; RFC 9053, Section 7).
const (
	keyType = 1
	keyID   = 2
	keyAlg  = 3
	keyOps  = 4
	keyK    = -1 // of a symmetric key
)

// maxSymmetricKey bounds a symmetric key, in bytes; minSymmetricKey is 128 bits.
const (
	minSymmetricKey = 16
	maxSymmetricKey = 64
)

// ParsePoPKey reads an encoded COSE_Key. It has to have all members its type needs, and no private ones; the key identifier is
// optional. Errors wrap [ErrPoPKey].
func ParsePoPKey(b []byte) (*PoPKey, error) {
	r := wire.NewReader(b)
	r.Require(keyType)
	kty, _ := r.Int(keyType)
	k := &PoPKey{KID: r.Bytes(keyID)}
	if r.Has(keyAlg) && !wire.IsText(r.Raw(keyAlg)) {
		a, _ := r.Int(keyAlg)
		k.Alg = cose.Algorithm(a)
	} else if r.Has(keyAlg) {
		r.Failf("an algorithm named by text")
	}
	k.Ops = wire.List(r, keyOps, func(item []byte) (KeyOp, error) {
		v, err := wire.Int(item)
		return KeyOp(v), err
	})
	if k.Ops != nil && len(k.Ops) == 0 {
		r.Failf("empty key_ops")
	}
	if err := r.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPoPKey, err)
	}
	var err error
	switch cose.KeyType(kty) {
	case cose.KeyTypeSymmetric:
		k.Symmetric = secret.Hide(r.Bytes(keyK))
		if n := k.Symmetric.Len(); r.Err() != nil || n < minSymmetricKey || n > maxSymmetricKey {
			err = fmt.Errorf("symmetric key of %d bytes", n)
		}
	case cose.KeyTypeOKP, cose.KeyTypeEC2:
		k.Public, err = cose.ParsePublicKey(b)
	default:
		err = fmt.Errorf("key type %d", kty)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPoPKey, err)
	}
	return k, nil
}

// Allows returns nil if the key may be used with an algorithm for an operation, as far as it says (RFC 9201, Section 5). A
// Client does not use a key that denies it; a Resource Server answers a proof of possession made with one with 4.00.
func (k *PoPKey) Allows(alg cose.Algorithm, op KeyOp) error {
	switch {
	case k.Alg != 0 && k.Alg != alg:
		return fmt.Errorf("%w: it is for algorithm %v, not %v", ErrPoPKey, k.Alg, alg)
	case k.Ops != nil && !slices.Contains(k.Ops, op):
		return fmt.Errorf("%w: its key_ops do not allow operation %d", ErrPoPKey, op)
	}
	return nil
}
