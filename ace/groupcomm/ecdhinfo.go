package groupcomm

// ECDHInfo says how Diffie-Hellman secrets are agreed upon in some groups: an entry of ecdh_info
// (ace-key-groupcomm-oscore, Section 5.3.1). There is none for a group that uses only signatures. Its fields are those of sign_info:
// Algorithm is ecdh_alg, and Params are such as [[1], [1, 4]].
type ECDHInfo SignInfo

// MarshalECDHInfo returns the value of the parameter ecdh_info; nil for an empty list, which is not sent.
func MarshalECDHInfo(list []ECDHInfo) []byte { return marshalAlgorithms(list) }

// ParseECDHInfo reads the value of the parameter ecdh_info, a non-empty array.
func ParseECDHInfo(item []byte) ([]ECDHInfo, error) { return parseInfo(item, parseAlgorithm[ECDHInfo]) }
