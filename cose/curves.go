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
// is none: the library has no X448. Keys on Ed25519 agree on X25519.
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

// agreementCurve returns the curve on which keys of c agree: Edwards keys are mapped
// to the Montgomery curve (draft-ietf-core-oscore-groupcomm-28, Section 2.5.2).
func (c Curve) agreementCurve() Curve {
	switch c {
	case CurveEd25519:
		return CurveX25519
	case CurveEd448:
		return CurveX448
	}
	return c
}
