package groupcomm

import (
	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/ace/internal/wire"
)

// JoinRequest asks to become a member of a group: the payload of POST /ace-group/GROUPNAME (RFC 9594, Section 4.3.1;
// ace-key-groupcomm-oscore, Section 6.1).
type JoinRequest struct {
	// Scope is the value of the parameter scope, which wraps one entry. It enters the input of the proof of possession byte
	// by byte, so ParseJoinRequest keeps what was received. Marshal encodes Entry when Scope is nil.
	Scope []byte
	// Entry is what Scope holds: the name of the group and the roles to join with.
	Entry ace.ScopeEntry
	// GetCreds says which members' credentials to return; nil for none.
	GetCreds *CredsFilter
	// Credential is client_cred; nil if absent, which a monitor does; empty to keep the stored one, which a member does.
	Credential []byte
	// Nonce is N_C, at least 8 random bytes.
	Nonce []byte
	// Evidence is client_cred_verify over [ClientPoP]; nil if absent; empty if the Group Manager has seen a proof already.
	Evidence []byte
	// ControlURI is where the member takes rekeying messages; empty if nowhere.
	ControlURI string
}

// Marshal returns the request as a map.
func (q *JoinRequest) Marshal() []byte {
	scope := q.Scope
	if scope == nil {
		scope = EncodeScope(q.Entry)
	}
	var w wire.Writer
	w.Bytes(paramScope, scope)
	if q.GetCreds != nil {
		w.Raw(paramGetCreds, q.GetCreds.marshal())
	}
	w.Bytes(paramClientCred, q.Credential)
	w.Bytes(paramCNonce, q.Nonce)
	w.Bytes(paramClientCredVerify, q.Evidence)
	w.Text(paramControlURI, q.ControlURI)
	return w.Encode()
}

// EncodeScope returns the value of the parameter scope for one entry: what the byte string of a Join Request wraps.
func EncodeScope(e ace.ScopeEntry) []byte {
	b, _ := e.MarshalCBOR() // never fails
	return b
}

// ParseJoinRequest reads a request. An empty payload, a missing scope or a missing nonce are malformed: a Group Manager
// answers each of them with 4.00 and a [JoinInfo]. Whether the roles, the credential and the evidence are acceptable is for
// the caller to say, who knows the group and the token.
func ParseJoinRequest(b []byte) (*JoinRequest, error) {
	r := wire.NewReader(b)
	q := &JoinRequest{
		Scope:      r.Bytes(paramScope),
		Credential: sized(r, paramClientCred, 0, maxCredential),
		Nonce:      nonce(r, paramCNonce),
		Evidence:   sized(r, paramClientCredVerify, 0, maxEvidence),
		ControlURI: uri(r, paramControlURI),
	}
	r.Require(paramScope, paramCNonce)
	if q.Scope != nil {
		e, err := ace.ParseScopeEntry(q.Scope)
		switch {
		case err != nil:
			r.Failf("scope: %w", err)
		case e.IsAdmin():
			r.Failf("scope names no roles")
		}
		q.Entry = e
	}
	if f, ok := wire.Field(r, paramGetCreds, parseFilter); ok {
		if err := f.CheckJoin(); err != nil {
			r.Fail(err)
		}
		q.GetCreds = &f
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	return q, nil
}
