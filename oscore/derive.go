package oscore

import (
	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/cborx"
	"github.com/cohort-iot/cohort/internal/secret"
)

// Values of type in the info array (RFC 8613, Section 3.2.1).
const (
	TypeKey = "Key" // Sender Key and Recipient Key
	TypeIV  = "IV"  // Common IV
)

// DeriveKey derives length bytes of keying material (RFC 8613, Section 3.2.1):
// HKDF with the hash of hkdf (an HMAC algorithm of COSE), salt as salt,
// masterSecret as input keying material and the info array of id, idContext,
// alg, typ and length. A nil idContext is absent and encoded as null; an empty
// salt is the same as none. Group OSCORE derives in the same way, with other
// values of typ (draft-ietf-core-oscore-groupcomm-28, Section 2.1.9).
func DeriveKey(hkdf cose.Algorithm, masterSecret, salt, id, idContext []byte, alg cose.Algorithm, typ string, length int) (secret.Bytes, error) {
	info := appendInfo(make([]byte, 0, 32+len(id)+len(idContext)), id, idContext, alg, typ, length)
	return cose.HKDF(hkdf, salt, masterSecret, info, length)
}

// appendInfo appends
//
//	info = [ id: bstr, id_context: bstr / nil, alg_aead: int, type: tstr, L: uint ]
//
// in deterministic encoding.
func appendInfo(dst, id, idContext []byte, alg cose.Algorithm, typ string, length int) []byte {
	dst = cborx.AppendArray(dst, 5)
	dst = cborx.AppendBytes(dst, id)
	if idContext == nil {
		dst = cborx.AppendNull(dst)
	} else {
		dst = cborx.AppendBytes(dst, idContext)
	}
	dst = cborx.AppendInt(dst, int64(alg))
	dst = cborx.AppendText(dst, typ)
	return cborx.AppendUint(dst, uint64(length))
}
