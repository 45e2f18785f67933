package groupcomm

import (
	"github.com/cohort-iot/cohort/ace/internal/wire"
	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/cborx"
)

// KDCDHCred is the Group Manager's Diffie-Hellman credential in some groups: an entry of kdc_dh_creds
// (ace-key-groupcomm-oscore, Section 5.3.2). There is one only for groups that use nothing but the pairwise mode, where a
// joining node needs it to compute its evidence.
type KDCDHCred struct {
	Groups           []string              // names of the groups it is about, at least one
	CredentialFormat cose.CredentialFormat // cred_fmt
	Credential       []byte
}

func appendKDCDHCred(dst []byte, e KDCDHCred) []byte {
	dst = appendNames(cborx.AppendArray(dst, 3), e.Groups)
	dst = cborx.AppendInt(dst, int64(e.CredentialFormat))
	return cborx.AppendBytes(dst, e.Credential)
}

func parseKDCDHCred(item []byte) (e KDCDHCred, err error) {
	f, err := fields(item, 3)
	if err != nil {
		return e, err
	}
	if e.Groups, err = parseNames(f[0]); err != nil {
		return e, err
	}
	format, err := wire.Int(f[1])
	if err != nil {
		return e, err
	}
	e.CredentialFormat = cose.CredentialFormat(format)
	cred, err := wire.Bytes(f[2])
	e.Credential = append([]byte{}, cred...)
	return e, err
}

// MarshalKDCDHCred returns the value of the parameter kdc_dh_creds; nil for an empty list, which is not sent.
func MarshalKDCDHCred(list []KDCDHCred) []byte {
	if len(list) == 0 {
		return nil
	}
	return wire.AppendArrayOf(nil, list, appendKDCDHCred)
}

// ParseKDCDHCred reads the value of the parameter kdc_dh_creds, a non-empty array.
func ParseKDCDHCred(item []byte) ([]KDCDHCred, error) { return parseInfo(item, parseKDCDHCred) }
