package ace

import (
	"errors"

	"github.com/cohort-iot/cohort/ace/internal/wire"
	"github.com/cohort-iot/cohort/internal/cborx"
)

// TokenRequest asks an Authorization Server for an access token: the payload of POST /token, of Content-Format 19 (RFC 9200,
// Section 5.8.1; RFC 9201, Section 3.1; RFC 9203, Section 3.1).
type TokenRequest struct {
	Audience string        // whom the token is for; empty: the Authorization Server's default for this Client
	Scope    Scope         // what it is to permit; nil: the default
	ReqCnf   *Confirmation // req_cnf; nil to get new input material, a KID to update the rights of a Security Context
	// AskProfile asks for ace_profile in the response: the parameter is sent as null. A profile number selects instead.
	AskProfile bool
	Profile    Profile // ace_profile as a number; 0 if absent
	CNonce     []byte  // cnonce from the hints of the Resource Server; nil if absent
	GrantType  GrantType
}

// Marshal returns the request as a map. The grant type is sent only if it is another than client credentials.
func (q *TokenRequest) Marshal() []byte {
	var w wire.Writer
	w.Text(paramAudience, q.Audience)
	addScope(&w, paramScope, q.Scope)
	w.Raw(paramReqCnf, q.ReqCnf.marshal())
	switch {
	case q.AskProfile:
		w.Null(paramProfile)
	case q.Profile != 0:
		w.Int(paramProfile, int64(q.Profile))
	}
	w.Bytes(paramCNonce, q.CNonce)
	if q.GrantType != GrantClientCredentials {
		w.Uint(paramGrantType, uint64(q.GrantType))
	}
	return w.Encode()
}

func addScope(w *wire.Writer, key int64, s Scope) {
	if s != nil {
		w.Bytes(key, s.Marshal())
	}
}

// readScope reads a scope, which is a byte string that wraps the array of entries. One of another application or in text wraps
// [ErrScope].
func readScope(r *wire.Reader, key int64) Scope {
	raw := r.Raw(key)
	if raw == nil {
		return nil
	}
	if wire.IsText(raw) {
		r.Fail(errors.Join(ErrScope, errors.New("a scope in text")))
		return nil
	}
	s, ok := wire.Field(r, key, func(item []byte) (Scope, error) {
		b, err := wire.Bytes(item)
		if err != nil {
			return nil, err
		}
		return ParseScope(b)
	})
	if ok && s == nil {
		return Scope{}
	}
	return s
}

// maxCNonce bounds a client-nonce, in bytes.
const maxCNonce = 64

// maxAudience bounds an audience, in bytes.
const maxAudience = 255

// ParseTokenRequest reads a request. An error that wraps [ErrScope] is one of invalid_scope, one that wraps [ErrInputMaterial]
// of unsupported_pop_key; every other is one of invalid_request.
func ParseTokenRequest(b []byte) (*TokenRequest, error) {
	r := wire.NewReader(b)
	q := &TokenRequest{
		CNonce:    r.Bytes(paramCNonce),
		GrantType: GrantClientCredentials,
	}
	q.Audience, _ = r.Text(paramAudience)
	if r.Has(paramAudience) && (q.Audience == "" || len(q.Audience) > maxAudience) {
		r.Failf("an audience of %d bytes", len(q.Audience))
	}
	if len(q.CNonce) > maxCNonce {
		r.Failf("a cnonce of %d bytes", len(q.CNonce))
	}
	if raw := r.Raw(paramProfile); raw != nil {
		if q.AskProfile = cborx.IsNull(raw); !q.AskProfile {
			p, _ := r.Int(paramProfile)
			q.Profile = Profile(p)
		}
	}
	if g, ok := r.Uint(paramGrantType); ok {
		q.GrantType = GrantType(g)
	}
	q.ReqCnf, _ = wire.Field(r, paramReqCnf, parseConfirmation)
	q.Scope = readScope(r, paramScope)
	if err := r.Err(); err != nil {
		return nil, err
	}
	return q, nil
}
