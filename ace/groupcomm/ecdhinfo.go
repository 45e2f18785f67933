package groupcomm

import (
	"github.com/cohort-iot/cohort/ace/internal/wire"
	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/cborx"
)

// ECDHInfo says how Diffie-Hellman secrets are agreed upon in some groups: an entry of ecdh_info
// (ace-key-groupcomm-oscore, Section 5.3.1). There is none for a group that uses only signatures.
type ECDHInfo struct {
	Groups           []string              // names of the groups it is about, at least one
	Algorithm        cose.Algorithm        // ecdh_alg
	Params           Params                // capabilities of the algorithm and of the key type, such as [[1], [1, 4]]
	CredentialFormat cose.CredentialFormat // cred_fmt
}

func appendECDHInfo(dst []byte, e ECDHInfo) []byte {
	dst = appendNames(cborx.AppendArray(dst, 5), e.Groups)
	dst = cborx.AppendInt(dst, int64(e.Algorithm))
	dst = appendCapabilities(dst, e.Params.Algorithm())
	dst = appendCapabilities(dst, e.Params.Key())
	return cborx.AppendInt(dst, int64(e.CredentialFormat))
}

func parseECDHInfo(item []byte) (e ECDHInfo, err error) {
	f, err := fields(item, 5)
	if err != nil {
		return e, err
	}
	if e.Groups, err = parseNames(f[0]); err != nil {
		return e, err
	}
	alg, err := wire.Int(f[1])
	if err != nil {
		return e, err
	}
	e.Algorithm = cose.Algorithm(alg)
	e.Params = make(Params, 2)
	for i := range e.Params {
		if e.Params[i], err = parseCapabilities(f[2+i]); err != nil {
			return e, err
		}
	}
	format, err := wire.Int(f[4])
	e.CredentialFormat = cose.CredentialFormat(format)
	return e, err
}

// MarshalECDHInfo returns the value of the parameter ecdh_info; nil for an empty list, which is not sent.
func MarshalECDHInfo(list []ECDHInfo) []byte {
	if len(list) == 0 {
		return nil
	}
	return wire.AppendArrayOf(nil, list, appendECDHInfo)
}

// ParseECDHInfo reads the value of the parameter ecdh_info, a non-empty array.
func ParseECDHInfo(item []byte) ([]ECDHInfo, error) { return parseInfo(item, parseECDHInfo) }
