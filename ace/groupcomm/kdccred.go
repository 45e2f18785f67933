package groupcomm

import (
	"github.com/cohort-iot/cohort/ace/internal/wire"
)

// KDCCred is the Group Manager's authentication credential with the proof that it has the private key: the answer to GET and
// FETCH of kdc-cred (RFC 9594, Section 4.5.1; ace-key-groupcomm-oscore, Section 8.1.1), and part of a [JoinResponse].
type KDCCred struct {
	Credential []byte // kdc_cred, in the group's format
	Nonce      []byte // kdc_nonce: N_KDC, at least 8 random bytes, new for each message
	Evidence   []byte // kdc_cred_verify over [KDCPoP]
}

// Marshal returns the response as a map.
func (k KDCCred) Marshal() []byte {
	var w wire.Writer
	k.write(&w)
	return w.Encode()
}

func (k KDCCred) write(w *wire.Writer) {
	w.Bytes(paramKDCCred, k.Credential)
	w.Bytes(paramKDCNonce, k.Nonce)
	w.Bytes(paramKDCCredVerify, k.Evidence)
}

// ParseKDCCred reads a response.
func ParseKDCCred(b []byte) (*KDCCred, error) {
	r := wire.NewReader(b)
	k := readKDCCred(r)
	if err := r.Err(); err != nil {
		return nil, err
	}
	return &k, nil
}

func readKDCCred(r *wire.Reader) KDCCred {
	r.Require(paramKDCCred, paramKDCNonce, paramKDCCredVerify)
	return KDCCred{
		Credential: sized(r, paramKDCCred, 1, maxCredential),
		Nonce:      nonce(r, paramKDCNonce),
		Evidence:   sized(r, paramKDCCredVerify, 1, maxEvidence),
	}
}

// KDCCredRequest is a signature verifier's request for the Group Manager's credential: the payload of FETCH kdc-cred
// (ace-key-groupcomm-oscore, Section 8.1.1).
type KDCCredRequest struct {
	Nonce []byte // cnonce: N_C, at least 8 random bytes, new for each request
}

// Marshal returns the request as a map.
func (q KDCCredRequest) Marshal() []byte {
	var w wire.Writer
	w.Bytes(paramCNonce, q.Nonce)
	return w.Encode()
}

// ParseKDCCredRequest reads a request.
func ParseKDCCredRequest(b []byte) (*KDCCredRequest, error) {
	r := wire.NewReader(b)
	r.Require(paramCNonce)
	q := &KDCCredRequest{Nonce: nonce(r, paramCNonce)}
	if err := r.Err(); err != nil {
		return nil, err
	}
	return q, nil
}
