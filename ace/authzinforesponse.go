package ace

import (
	"github.com/cohort-iot/cohort/ace/internal/wire"
)

// AuthzInfoResponse is a Resource Server's answer to a token: the payload of 2.01 from /authz-info, of Content-Format 19
// (RFC 9203, Section 4.2; RFC 9594, Section 3.3; ace-key-groupcomm-oscore, Section 5.3).
type AuthzInfoResponse struct {
	Nonce2      []byte // nonce2: N2, 8 random bytes
	RecipientID []byte // ace_server_recipientid: the Resource Server's OSCORE Recipient ID
	Challenge   []byte // kdcchallenge: N_S; nil if no role in the scope needs it
	// What the Client asked for, encoded: see SignInfo, ECDHInfo and KDCDHCred of package groupcomm. Nil if absent.
	SignInfo   []byte
	ECDHInfo   []byte
	KDCDHCreds []byte
}

// Marshal returns the response as a map.
func (p *AuthzInfoResponse) Marshal() []byte {
	var w wire.Writer
	w.Bytes(paramNonce2, p.Nonce2)
	w.Bytes(paramServerRecipientID, p.RecipientID)
	w.Raw(paramSignInfo, p.SignInfo)
	w.Bytes(paramKDCChallenge, p.Challenge)
	w.Raw(paramECDHInfo, p.ECDHInfo)
	w.Raw(paramKDCDHCreds, p.KDCDHCreds)
	return w.Encode()
}

// ParseAuthzInfoResponse reads a response. Nonce and identifier are required: without them the Client derives nothing
// (RFC 9203, Section 4.3).
func ParseAuthzInfoResponse(b []byte) (*AuthzInfoResponse, error) {
	r := wire.NewReader(b)
	r.Require(paramNonce2, paramServerRecipientID)
	p := &AuthzInfoResponse{
		Nonce2:      r.Bytes(paramNonce2),
		RecipientID: r.Bytes(paramServerRecipientID),
		Challenge:   r.Bytes(paramKDCChallenge),
		SignInfo:    arrayOf(r, paramSignInfo),
		ECDHInfo:    arrayOf(r, paramECDHInfo),
		KDCDHCreds:  arrayOf(r, paramKDCDHCreds),
	}
	checkNonce(r, p.Nonce2)
	checkNonce(r, p.Challenge)
	if len(p.RecipientID) > maxIDSize {
		r.Failf("an identifier of %d bytes", len(p.RecipientID))
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	return p, nil
}

// arrayOf returns the encoded value of key, which is an array; nil if absent.
func arrayOf(r *wire.Reader, key int64) []byte {
	raw := r.Raw(key)
	if raw != nil && !wire.IsArray(raw) {
		r.Failf("member %d: not an array", key)
	}
	return raw
}
