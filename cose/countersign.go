package cose

import "github.com/cohort-iot/cohort/internal/cborx"

// CountersignForm is a reading of RFC 9338, Section 3.3: whether the structure that
// an abbreviated countersignature of a COSE_Encrypt0 signs has an empty
// sign_protected. A group uses one of them throughout.
type CountersignForm int

const (
	// CountersignFive keeps the empty sign_protected, five elements. It is what the
	// known implementations and the published vectors sign.
	CountersignFive CountersignForm = iota
	// CountersignFour omits it, four elements, as the wording of RFC 9338 says.
	CountersignFour
)

// String names the form by its number of elements.
func (f CountersignForm) String() string {
	if f == CountersignFour {
		return "4 elements"
	}
	return "5 elements"
}

// AppendCountersignStructure appends the Countersign_structure of a COSE_Encrypt0
// with an empty protected header (RFC 9338, Section 3.3;
// draft-ietf-core-oscore-groupcomm-28, Section 3.1):
//
//	["CounterSignature0", h'', h'', external_aad: bstr, ciphertext: bstr]
//
// or, as CountersignFour, without the second empty string.
func AppendCountersignStructure(dst []byte, form CountersignForm, externalAAD, ciphertext []byte) []byte {
	n := 5
	if form == CountersignFour {
		n = 4
	}
	dst = cborx.AppendArray(dst, n)
	dst = cborx.AppendText(dst, "CounterSignature0")
	for range n - 3 {
		dst = cborx.AppendBytes(dst, nil)
	}
	dst = cborx.AppendBytes(dst, externalAAD)
	return cborx.AppendBytes(dst, ciphertext)
}
