package ace

import (
	"crypto/elliptic"
	"math/big"

	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/cborx"
)

// A token travels in clear, and what protects it covers neither tags nor the heads of its CBOR items nor unprotected headers, and
// an ECDSA signature only but for its sign: whoever sees a token can make others of it that verify as well and have other hashes,
// which no list of revoked tokens names (RFC 9770, Section 14.6). So each token has one strict form, made of what is protected
// alone: the one in which it is issued. From issuers that are not lenient nothing else is taken.

// strictEncrypted returns the strict form of a COSE_Encrypt0: that of a token, or of none if it is the inner layer, as no token is
// encrypted first and then signed.
func strictEncrypted(m *cose.Encrypt0, outermost bool) []byte {
	if !outermost {
		return nil
	}
	b := append([]byte(prefixEncrypted), 0x83)
	b = cborx.AppendBytes(b, m.Protected)
	b = cborx.AppendMap(b, 0)
	return cborx.AppendBytes(b, m.Ciphertext)
}

// strictSigned returns the strict form of a COSE_Sign1: that of a token, or of the inner layer of a nested one. In the latter the
// signature is as it came, since nobody but the issuer can change it.
func strictSigned(m *cose.Sign1, outermost bool) []byte {
	prefix, sig := prefixInner, m.Signature
	if outermost {
		prefix, sig = prefixSigned, lowS(m.Alg, m.Signature)
	}
	b := append([]byte(prefix), 0x84)
	b = cborx.AppendBytes(b, m.Protected)
	b = cborx.AppendMap(b, 0)
	b = cborx.AppendBytes(b, m.Payload)
	return cborx.AppendBytes(b, sig)
}

// lowS returns of the two ECDSA signatures r || s and r || n-s, of which either can be made of the other, the one whose second half
// is not above n/2. Those of other algorithms it leaves as they are.
func lowS(alg cose.Algorithm, sig []byte) []byte {
	var c elliptic.Curve
	switch alg {
	case cose.AlgES256, cose.AlgESP256:
		c = elliptic.P256()
	case cose.AlgES384, cose.AlgESP384:
		c = elliptic.P384()
	case cose.AlgES512, cose.AlgESP512:
		c = elliptic.P521()
	default:
		return sig
	}
	half := len(sig) / 2
	n, s := c.Params().N, new(big.Int).SetBytes(sig[half:])
	if s.Cmp(n) >= 0 || s.Cmp(new(big.Int).Rsh(n, 1)) <= 0 {
		return sig
	}
	low := append([]byte(nil), sig...)
	s.Sub(n, s).FillBytes(low[half:])
	return low
}
