package cose

import "github.com/cohort-iot/cohort/internal/cborx"

// AppendEncStructure appends the Enc_structure of a COSE_Encrypt0, which is the
// additional data of its AEAD (RFC 9052, Section 5.3):
//
//	["Encrypt0", protected: bstr, external_aad: bstr]
//
// protected is the serialised map, empty if there are no protected headers.
func AppendEncStructure(dst, protected, externalAAD []byte) []byte {
	dst = cborx.AppendArray(dst, 3)
	dst = cborx.AppendText(dst, "Encrypt0")
	dst = cborx.AppendBytes(dst, protected)
	return cborx.AppendBytes(dst, externalAAD)
}
