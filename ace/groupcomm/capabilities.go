package groupcomm

import (
	"fmt"

	"github.com/cohort-iot/cohort/ace/internal/wire"
	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/cborx"
)

// Capabilities are the COSE capabilities of an algorithm or a key type, such as [1] for EdDSA, whose keys are OKP, and [1, 6]
// for OKP keys on Ed25519 (RFC 9053, Section 8).
type Capabilities []int64

// Params are the parameters of a signature or key agreement algorithm: the capabilities of the algorithm, and for each of
// those the capabilities of that key type (ace-key-groupcomm-oscore, Section 6.3). For every registered algorithm that is two
// elements, such as [[1], [1, 6]].
type Params []Capabilities

// SignParams returns the parameters of a signature algorithm whose keys are on a curve: [[1], [1, 6]] for Ed25519,
// [[2], [2, 1]] for P-256, and so on.
func SignParams(crv cose.Curve) Params { return curveParams(crv) }

// ECDHParams returns the parameters of a key agreement algorithm whose keys are on a curve: [[1], [1, 4]] for X25519, and so on.
func ECDHParams(crv cose.Curve) Params { return curveParams(crv) }

func curveParams(crv cose.Curve) Params {
	const okp, ec2 = 1, 2 // COSE key types (RFC 9053, Section 7)
	kty := int64(okp)
	if crv == cose.CurveP256 || crv == cose.CurveP384 || crv == cose.CurveP521 {
		kty = ec2
	}
	return Params{{kty}, {kty, int64(crv)}}
}

// Algorithm returns the capabilities of the algorithm, the first element of p.
func (p Params) Algorithm() Capabilities { return p.at(0) }

// Key returns the capabilities of the key type, the second element of p.
func (p Params) Key() Capabilities { return p.at(1) }

func (p Params) at(i int) Capabilities {
	if i < len(p) {
		return p[i]
	}
	return nil
}

// Curve returns the curve the parameters name, or false if they name none.
func (p Params) Curve() (cose.Curve, bool) {
	k := p.Key()
	if len(p) != 2 || len(k) != 2 || len(p[0]) != 1 || p[0][0] != k[0] {
		return 0, false
	}
	return cose.Curve(k[1]), true
}

// Equal says whether p and o are the same.
func (p Params) Equal(o Params) bool {
	return string(appendParams(nil, p)) == string(appendParams(nil, o))
}

func appendCapabilities(dst []byte, c Capabilities) []byte {
	return wire.AppendArrayOf(dst, c, cborx.AppendInt)
}

func appendParams(dst []byte, p Params) []byte {
	return wire.AppendArrayOf(dst, p, appendCapabilities)
}

func parseCapabilities(item []byte) (Capabilities, error) {
	c, err := wire.ArrayOf(item, wire.Int)
	if err == nil && len(c) > maxCapability {
		err = fmt.Errorf("%w: more than %d capabilities", ErrMalformed, maxCapability)
	}
	return c, err
}

// ParseParams reads the array of arrays that sign_params and ecdh_params hold.
func ParseParams(item []byte) (Params, error) {
	p, err := wire.ArrayOf(item, parseCapabilities)
	if err == nil && (len(p) < 2 || len(p) > maxCapability) {
		err = fmt.Errorf("%w: algorithm parameters have two elements or a few more", ErrMalformed)
	}
	return p, err
}

// Marshal returns the array of arrays that sign_params and ecdh_params hold.
func (p Params) Marshal() []byte { return appendParams(nil, p) }
