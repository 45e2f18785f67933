package cose

import "strconv"

// CredentialFormat is a format of authentication credentials, named by the label of
// the header parameter that carries it (IANA registry "COSE Header Parameters";
// draft-ietf-core-oscore-groupcomm-28, Section 2.4).
type CredentialFormat int64

// Credential formats (RFC 9528, Section 10.6; RFC 9360, Section 2;
// draft-ietf-cose-cbor-encoded-cert-20, Section 3.4).
const (
	FormatCWT       CredentialFormat = 13 // kcwt
	FormatCCS       CredentialFormat = 14 // kccs
	FormatC509Bag   CredentialFormat = 24 // c5b
	FormatC509Chain CredentialFormat = 25 // c5c
	FormatX5Bag     CredentialFormat = 32 // x5bag
	FormatX5Chain   CredentialFormat = 33 // x5chain
)

// String returns the name in the registry, or the number if it is unknown.
func (f CredentialFormat) String() string {
	switch f {
	case FormatCWT:
		return "kcwt"
	case FormatCCS:
		return "kccs"
	case FormatC509Bag:
		return "c5b"
	case FormatC509Chain:
		return "c5c"
	case FormatX5Bag:
		return "x5bag"
	case FormatX5Chain:
		return "x5chain"
	}
	return "credential format " + strconv.FormatInt(int64(f), 10)
}

// Known reports whether f is one of the formats above.
func (f CredentialFormat) Known() bool {
	switch f {
	case FormatCWT, FormatCCS, FormatC509Bag, FormatC509Chain, FormatX5Bag, FormatX5Chain:
		return true
	}
	return false
}
