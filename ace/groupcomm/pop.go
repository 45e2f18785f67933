package groupcomm

import "github.com/cohort-iot/cohort/internal/cborx"

// ClientPoP returns the input of a Client's proof of possession: scope, N_S and N_C, each as a CBOR byte string (RFC 9594,
// Section 4.3.1; ace-key-groupcomm-oscore, Section 6.1.1).
//
// scope is the value of the parameter scope of the Join Request, kdcChallenge the latest kdcchallenge the Group Manager gave
// (or what the TLS exporter gives, where the token travelled in the handshake), nonce the cnonce of the request that carries
// the evidence.
func ClientPoP(scope, kdcChallenge, nonce []byte) []byte {
	dst := make([]byte, 0, len(scope)+len(kdcChallenge)+len(nonce)+9)
	dst = cborx.AppendBytes(dst, scope)
	dst = cborx.AppendBytes(dst, kdcChallenge)
	return cborx.AppendBytes(dst, nonce)
}

// KDCPoP returns the input of the Group Manager's proof of possession: N_C and N_KDC, each as a CBOR byte string (RFC 9594,
// Section 4.3.1).
//
// nonce is the cnonce of the member's latest Join Request, or of a signature verifier's FETCH; kdcNonce the kdc_nonce of the
// message that carries the evidence.
func KDCPoP(nonce, kdcNonce []byte) []byte {
	dst := make([]byte, 0, len(nonce)+len(kdcNonce)+6)
	dst = cborx.AppendBytes(dst, nonce)
	return cborx.AppendBytes(dst, kdcNonce)
}
