package grouposcore

import (
	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/cborx"
)

// oscoreVersion is oscore_version of RFC 8613, Section 5.4.
const oscoreVersion = 1

// aadHead encodes what every aad_array of a Common Context starts with: the
// array head, the version and the algorithms (Section 3.4). An unset algorithm
// is null, whatever this endpoint itself supports.
func aadHead(p *Params) []byte {
	b := cborx.AppendArray(nil, 9)
	b = cborx.AppendUint(b, oscoreVersion)
	b = cborx.AppendArray(b, 4)
	for _, a := range []cose.Algorithm{p.AEAD, p.GroupEnc, p.Signature, p.KeyAgreement} {
		if a == 0 {
			b = cborx.AppendNull(b)
		} else {
			b = cborx.AppendInt(b, int64(a))
		}
	}
	return b
}

// credential is the exact bytes of a *cose.Credential.
type credential interface {
	Len() int
	AppendTo(dst []byte) []byte
}

// binding is what ties a message to its request: the values of the request's
// OSCORE option, which never change while the exchange lasts.
type binding struct {
	kid, piv, gid []byte
}

// appendExternalAAD appends the aad_array of Section 3.4, the content of
// external_aad, for both modes, for encryption and for signing. option is the
// raw OSCORE option value of the message itself, from the credential of the
// message's sender.
func (c *common) appendExternalAAD(dst []byte, req binding, option []byte, from credential) []byte {
	dst = append(dst, c.aadHead...)
	dst = cborx.AppendBytes(dst, req.kid)
	dst = cborx.AppendBytes(dst, req.piv)
	dst = cborx.AppendBytes(dst, nil) // class I options: there are none
	dst = cborx.AppendBytes(dst, req.gid)
	dst = cborx.AppendBytes(dst, option)
	dst = from.AppendTo(cborx.AppendBytesHead(dst, from.Len()))
	return append(dst, c.aadTail...)
}
