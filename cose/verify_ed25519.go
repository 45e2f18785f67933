package cose

import "github.com/oasisprotocol/curve25519-voi/primitives/ed25519"

// ed25519Verifier judges the signatures of one Ed25519 key, exactly as
// crypto/ed25519 does. It is the seam at which the implementation is exchanged.
type ed25519Verifier interface {
	verify(msg, sig []byte) bool
}

// voiOptions makes curve25519-voi accept and refuse what the standard library does.
// It is never written.
var voiOptions = &ed25519.Options{Verify: ed25519.VerifyOptionsStdLib}

// voiPlain verifies without precomputation.
type voiPlain []byte

func (v voiPlain) verify(msg, sig []byte) bool {
	return ed25519.VerifyWithOptions(ed25519.PublicKey(v), msg, sig, voiOptions)
}

// voiExpanded verifies with a precomputed table of the public key (1.5 KB).
type voiExpanded struct{ key *ed25519.ExpandedPublicKey }

func (v voiExpanded) verify(msg, sig []byte) bool {
	return ed25519.VerifyExpandedWithOptions(v.key, msg, sig, voiOptions)
}

// expandEd25519 precomputes; ok is false for a key that is no point.
func expandEd25519(x []byte) (v ed25519Verifier, ok bool) {
	key, err := ed25519.NewExpandedPublicKey(ed25519.PublicKey(x))
	if err != nil {
		return nil, false
	}
	return voiExpanded{key}, true
}

// verifyEd25519 expands the key at its second use: most of the keys that a Group
// Manager sees verify one signature only, those of a group's members many.
func (k *PublicKey) verifyEd25519(msg, sig []byte) bool {
	if v := k.ed25519.Load(); v != nil {
		return (*v).verify(msg, sig)
	}
	if k.used.Swap(true) {
		if v, ok := expandEd25519(k.x); ok {
			k.ed25519.Store(&v)
			return v.verify(msg, sig)
		}
	}
	return voiPlain(k.x).verify(msg, sig)
}
