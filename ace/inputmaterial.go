package ace

import (
	"errors"
	"fmt"

	"github.com/cohort-iot/cohort/ace/internal/wire"
	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/cborx"
	"github.com/cohort-iot/cohort/internal/secret"
)

// ErrInputMaterial is wrapped when an OSCORE_Input_Material object lacks what this profile needs, has members that are not
// recognised, or asks for algorithms that are not supported.
var ErrInputMaterial = errors.New("unusable OSCORE input material")

// OSCOREInputMaterial is what an Authorization Server gives a Client and a Resource Server to set up OSCORE between them
// (RFC 9203, Section 3.2.1). Values of this type print without the secrets.
type OSCOREInputMaterial struct {
	ID           []byte         // identifies the material among all of the Authorization Server; not part of any derivation
	MasterSecret secret.Hidden  // ms
	Salt         secret.Hidden  // absent, which derives the same as empty
	ContextID    []byte         // ID Context; nil if absent
	AEAD         cose.Algorithm // alg; 0 if absent: AES-CCM-16-64-128 (RFC 8613, Section 3.2)
	HKDF         cose.Algorithm // hkdf as HMAC algorithm; 0 if absent: HMAC 256/256, that is HKDF SHA-256
}

// Limits on the parts of an input material, in bytes. The texts set none.
const (
	maxMaterialID   = 32
	minMasterSecret = 16 // 128 bits, as RFC 8613, Section 12.3 asks for high entropy
	maxMasterSecret = 64
	maxSalt         = 64
	maxContextID    = 32
)

// oscoreVersion is the one version of OSCORE (RFC 8613, Section 5.4).
const oscoreVersion = 1

// aead returns the AEAD algorithm with the default filled in.
func (m OSCOREInputMaterial) aead() cose.Algorithm {
	if m.AEAD == 0 {
		return cose.AlgAESCCM16_64_128
	}
	return m.AEAD
}

// hkdf returns the HMAC algorithm with the default filled in.
func (m OSCOREInputMaterial) hkdf() cose.Algorithm {
	if m.HKDF == 0 {
		return cose.AlgHMAC256
	}
	return m.HKDF
}

// marshal returns the object as a map, with its secrets in the clear.
func (m OSCOREInputMaterial) marshal() []byte {
	var w wire.Writer
	w.Bytes(oscID, m.ID)
	w.Bytes(oscMS, m.MasterSecret.Bytes())
	if m.HKDF != 0 && m.HKDF != cose.AlgHMAC256 {
		w.Int(oscHKDF, int64(m.HKDF))
	}
	if m.AEAD != 0 && m.AEAD != cose.AlgAESCCM16_64_128 {
		w.Int(oscAlg, int64(m.AEAD))
	}
	w.Bytes(oscSalt, m.Salt.Bytes())
	w.Bytes(oscContextID, m.ContextID)
	return w.Encode()
}

// parseMaterial reads the object as this profile wants it: id and ms present, no member it does not know, algorithms it can use
// (RFC 9203, Section 4.2). Faults of the shape wrap [ErrMalformed], all others [ErrInputMaterial].
func parseMaterial(b []byte) (*OSCOREInputMaterial, error) {
	r := wire.NewReader(b)
	m := &OSCOREInputMaterial{
		ID:           r.Bytes(oscID),
		MasterSecret: secret.Hide(r.Bytes(oscMS)),
		Salt:         secret.Hide(r.Bytes(oscSalt)),
		ContextID:    r.Bytes(oscContextID),
	}
	version, hasVersion := r.Uint(oscVersion)
	m.AEAD = algorithm(r, oscAlg)
	m.HKDF = hkdfAlgorithm(algorithm(r, oscHKDF))
	if err := r.Err(); err != nil {
		return nil, err
	}
	switch aead, ok := m.aead().AEAD(); {
	case !r.Only(oscID, oscVersion, oscMS, oscHKDF, oscAlg, oscSalt, oscContextID):
		return nil, fmt.Errorf("%w: unrecognised members", ErrInputMaterial)
	case len(m.ID) == 0 || len(m.ID) > maxMaterialID:
		return nil, fmt.Errorf("%w: no id, or too long a one", ErrInputMaterial)
	case m.MasterSecret.Len() < minMasterSecret || m.MasterSecret.Len() > maxMasterSecret:
		return nil, fmt.Errorf("%w: no ms, or one of a wrong length", ErrInputMaterial)
	case m.Salt.Len() > maxSalt || len(m.ContextID) > maxContextID:
		return nil, fmt.Errorf("%w: salt or contextId too long", ErrInputMaterial)
	case hasVersion && version != oscoreVersion:
		return nil, fmt.Errorf("%w: version %d", ErrInputMaterial, version)
	case !ok || aead.NonceSize < minNonce:
		return nil, fmt.Errorf("%w: alg %d is no AEAD algorithm for OSCORE", ErrInputMaterial, int64(m.AEAD))
	case m.hkdf() != cose.AlgHMAC256 && m.hkdf() != cose.AlgHMAC384 && m.hkdf() != cose.AlgHMAC512:
		return nil, fmt.Errorf("%w: hkdf %d", ErrInputMaterial, int64(m.HKDF))
	}
	return m, nil
}

// minNonce is the shortest nonce OSCORE works with (RFC 8613, Section 3.3).
const minNonce = 7

// Direct key derivation algorithms of COSE (RFC 9053, Section 6.1.2) by which some Authorization Servers name the HKDF.
const (
	directHKDF256 cose.Algorithm = -10
	directHKDF512 cose.Algorithm = -11
)

// hkdfAlgorithm gives an HKDF the name of its HMAC algorithm, which the registry asks for.
func hkdfAlgorithm(a cose.Algorithm) cose.Algorithm {
	switch a {
	case directHKDF256:
		return cose.AlgHMAC256
	case directHKDF512:
		return cose.AlgHMAC512
	}
	return a
}

// algorithm reads a COSE algorithm; 0 if absent. One that is named by text is none this module knows.
func algorithm(r *wire.Reader, key int64) cose.Algorithm {
	if wire.IsText(r.Raw(key)) {
		r.Fail(fmt.Errorf("%w: algorithm %d named by text", ErrInputMaterial, key))
		return 0
	}
	v, ok := r.Int(key)
	if ok && v == 0 {
		r.Fail(fmt.Errorf("%w: algorithm 0 is reserved", ErrInputMaterial))
	}
	return cose.Algorithm(v)
}

// checkID returns nil if an identifier is short enough for the nonce of this material's algorithm (RFC 8613, Section 3.3).
func (m OSCOREInputMaterial) checkID(id []byte) error {
	p, ok := m.aead().AEAD()
	if !ok {
		return fmt.Errorf("%w: alg %d", ErrInputMaterial, int64(m.AEAD))
	}
	if longest := p.NonceSize - 6; len(id) > longest {
		return fmt.Errorf("%w: longer than %d bytes", ErrIdentifier, longest)
	}
	return nil
}

// masterSalt returns the Master Salt: the salt of the material and the two nonces, each as a CBOR byte string (RFC 9203,
// Section 4.3). An absent salt counts as the empty byte string, which is encoded.
func (m OSCOREInputMaterial) masterSalt(n1, n2 []byte) secret.Bytes {
	dst := make([]byte, 0, m.Salt.Len()+len(n1)+len(n2)+9)
	dst = cborx.AppendBytes(dst, m.Salt.Bytes())
	dst = cborx.AppendBytes(dst, n1)
	return cborx.AppendBytes(dst, n2)
}
