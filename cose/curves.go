package cose

import (
	"crypto/ecdh"
	"crypto/elliptic"
)

// elliptic returns the standard library's curve for ECDSA, nil for other curves.
func (c Curve) elliptic() elliptic.Curve {
	switch c {
	case CurveP256:
		return elliptic.P256()
	case CurveP384:
		return elliptic.P384()
	case CurveP521:
		return elliptic.P521()
	}
	return nil
}

// ecdh returns the standard library's curve on which keys of c agree, nil if there
// is none. Keys on Ed25519 agree on X25519.
func (c Curve) ecdh() ecdh.Curve {
	switch c {
	case CurveP256:
		return ecdh.P256()
	case CurveP384:
		return ecdh.P384()
	case CurveP521:
		return ecdh.P521()
	case CurveX25519, CurveEd25519:
		return ecdh.X25519()
	}
	return nil
}
