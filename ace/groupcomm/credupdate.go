package groupcomm

import (
	"github.com/cohort-iot/cohort/ace/internal/wire"
)

// CredentialUpdate replaces a member's authentication credential: the payload of POST to the cred resource of its node
// (RFC 9594, Section 4.9.1). All three are required.
type CredentialUpdate struct {
	Credential []byte // client_cred
	Nonce      []byte // cnonce: a new N_C
	// Evidence is client_cred_verify over [ClientPoP] with the scope of the latest Join Request. An empty one, which never
	// verifies (ace-key-groupcomm-oscore, Section 9.4), is parsed so that it is answered as wrong evidence.
	Evidence []byte
}

// Marshal returns the request as a map.
func (u *CredentialUpdate) Marshal() []byte {
	var w wire.Writer
	w.Bytes(paramClientCred, u.Credential)
	w.Bytes(paramCNonce, u.Nonce)
	w.Bytes(paramClientCredVerify, u.Evidence)
	return w.Encode()
}

// ParseCredentialUpdate reads a request.
func ParseCredentialUpdate(b []byte) (*CredentialUpdate, error) {
	r := wire.NewReader(b)
	r.Require(paramClientCred, paramCNonce, paramClientCredVerify)
	u := &CredentialUpdate{
		Credential: sized(r, paramClientCred, 0, maxCredential),
		Nonce:      nonce(r, paramCNonce),
		Evidence:   sized(r, paramClientCredVerify, 0, maxEvidence),
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	return u, nil
}
