package groupcomm

import (
	"github.com/cohort-iot/cohort/ace/internal/wire"
	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/cborx"
)

// SignInfo says how signatures are made in some groups: an entry of sign_info (RFC 9594, Section 3.3.1;
// ace-key-groupcomm-oscore, Section 5.3). There is none for a group that uses only the pairwise mode.
type SignInfo struct {
	Groups           []string              // names of the groups it is about, at least one
	Algorithm        cose.Algorithm        // sign_alg
	Params           Params                // capabilities of the algorithm and of the key type, such as [[1], [1, 6]]
	CredentialFormat cose.CredentialFormat // cred_fmt
}

// MarshalSignInfo returns the value of the parameter sign_info; nil for an empty list, which is not sent.
func MarshalSignInfo(list []SignInfo) []byte { return marshalAlgorithms(list) }

// ParseSignInfo reads the value of the parameter sign_info, a non-empty array.
func ParseSignInfo(item []byte) ([]SignInfo, error) { return parseInfo(item, parseAlgorithm[SignInfo]) }

// marshalAlgorithms writes a list of entries that say how an algorithm is used: sign_info and ecdh_info.
func marshalAlgorithms[E SignInfo | ECDHInfo](list []E) []byte {
	if len(list) == 0 {
		return nil
	}
	return wire.AppendArrayOf(nil, list, appendAlgorithm[E])
}

func appendAlgorithm[E SignInfo | ECDHInfo](dst []byte, entry E) []byte {
	e := SignInfo(entry)
	dst = appendNames(cborx.AppendArray(dst, 5), e.Groups)
	dst = cborx.AppendInt(dst, int64(e.Algorithm))
	dst = appendCapabilities(dst, e.Params.Algorithm())
	dst = appendCapabilities(dst, e.Params.Key())
	return cborx.AppendInt(dst, int64(e.CredentialFormat))
}

func parseAlgorithm[E SignInfo | ECDHInfo](item []byte) (entry E, err error) {
	f, err := fields(item, 5)
	if err != nil {
		return entry, err
	}
	var e SignInfo
	if e.Groups, err = parseNames(f[0]); err != nil {
		return entry, err
	}
	alg, err := wire.Int(f[1])
	if err != nil {
		return entry, err
	}
	e.Algorithm = cose.Algorithm(alg)
	e.Params = make(Params, 2)
	for i := range e.Params {
		if e.Params[i], err = parseCapabilities(f[2+i]); err != nil {
			return entry, err
		}
	}
	format, err := wire.Int(f[4])
	e.CredentialFormat = cose.CredentialFormat(format)
	return E(e), err
}
