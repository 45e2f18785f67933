package oscore

import (
	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/cborx"
)

// version is oscore_version in the AAD.
const version = 1

// appendAAD appends the Enc_structure (RFC 8613, Section 5.4):
//
//	aad_array    = [ 1, [ alg_aead: int ], request_kid: bstr, request_piv: bstr, options: bstr ]
//	AAD          = [ "Encrypt0", h'', bstr .cbor aad_array ]
//
// options are the Class I options, of which RFC 8613 defines none.
func appendAAD(dst []byte, alg cose.Algorithm, requestKID, requestPIV []byte) []byte {
	var tmp [64]byte
	external := appendExternalAAD(tmp[:0], alg, requestKID, requestPIV)
	dst = cborx.AppendArray(dst, 3)
	dst = cborx.AppendText(dst, "Encrypt0")
	dst = cborx.AppendBytes(dst, nil)
	return cborx.AppendBytes(dst, external)
}

func appendExternalAAD(dst []byte, alg cose.Algorithm, requestKID, requestPIV []byte) []byte {
	dst = cborx.AppendArray(dst, 5)
	dst = cborx.AppendUint(dst, version)
	dst = cborx.AppendArray(dst, 1)
	dst = cborx.AppendInt(dst, int64(alg))
	dst = cborx.AppendBytes(dst, requestKID)
	dst = cborx.AppendBytes(dst, requestPIV)
	return cborx.AppendBytes(dst, nil)
}

// aadSize is an upper bound of the AAD's length in bytes.
const aadSize = 48
