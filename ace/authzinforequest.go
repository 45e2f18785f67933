package ace

import (
	"github.com/cohort-iot/cohort/ace/internal/wire"
)

// Limits on the nonces and identifiers of authz-info, in bytes.
const (
	minNonceSize = 1  // 8 random bytes are recommended; the text sets no least
	maxNonceSize = 64 // both enter the Master Salt
	maxIDSize    = 32 // the algorithm of the input material sets a tighter one, see checkIDs
)

// AuthzInfoRequest gives a Resource Server a token: the payload of POST /authz-info, of Content-Format 19 (RFC 9203,
// Section 4.1). A post that updates the rights of an existing Security Context, and is protected with it, has nothing but the
// token.
type AuthzInfoRequest struct {
	AccessToken []byte
	Nonce1      []byte // nonce1: N1, 8 random bytes; nil if absent
	RecipientID []byte // ace_client_recipientid: the Client's OSCORE Recipient ID; nil if absent, may be empty
	// What the Client wants to know of the groups it may join (RFC 9594, Section 3.3; ace-key-groupcomm-oscore, Section 5.3).
	WantSignInfo   bool // sign_info
	WantECDHInfo   bool // ecdh_info
	WantKDCDHCreds bool // kdc_dh_creds
}

// Marshal returns the request as a map.
func (q *AuthzInfoRequest) Marshal() []byte {
	var w wire.Writer
	w.Bytes(paramAccessToken, q.AccessToken)
	w.Bytes(paramNonce1, q.Nonce1)
	w.Bytes(paramClientRecipientID, q.RecipientID)
	for key, want := range map[int64]bool{
		paramSignInfo: q.WantSignInfo, paramECDHInfo: q.WantECDHInfo, paramKDCDHCreds: q.WantKDCDHCreds,
	} {
		if want {
			w.Null(key)
		}
	}
	return w.Encode()
}

// ParseAuthzInfoRequest reads an unprotected request, which has all of token, nonce and identifier.
func ParseAuthzInfoRequest(b []byte) (*AuthzInfoRequest, error) {
	r := wire.NewReader(b)
	r.Require(paramAccessToken, paramNonce1, paramClientRecipientID)
	q := &AuthzInfoRequest{
		AccessToken:    readToken(r),
		Nonce1:         r.Bytes(paramNonce1),
		RecipientID:    r.Bytes(paramClientRecipientID),
		WantSignInfo:   r.Null(paramSignInfo),
		WantECDHInfo:   r.Null(paramECDHInfo),
		WantKDCDHCreds: r.Null(paramKDCDHCreds),
	}
	checkNonce(r, q.Nonce1)
	if len(q.RecipientID) > maxIDSize {
		r.Failf("an identifier of %d bytes", len(q.RecipientID))
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	return q, nil
}

// parseUpdateRequest reads a protected request and returns its token. Nonces and identifiers in it are ignored (RFC 9203,
// Section 4.2).
func parseUpdateRequest(b []byte) ([]byte, error) {
	r := wire.NewReader(b)
	r.Require(paramAccessToken)
	t := readToken(r)
	return t, r.Err()
}

func checkNonce(r *wire.Reader, n []byte) {
	if n != nil && (len(n) < minNonceSize || len(n) > maxNonceSize) {
		r.Failf("a nonce of %d bytes", len(n))
	}
}
