package ace

import (
	"time"

	"github.com/cohort-iot/cohort/ace/internal/wire"
)

// TokenResponse gives a Client its access token: the payload of 2.01 from /token, of Content-Format 19 (RFC 9200,
// Section 5.8.2; RFC 9203, Section 3.2). Its Cnf holds a secret: it must not travel but over a secure association.
type TokenResponse struct {
	AccessToken []byte
	ExpiresIn   time.Duration // whole seconds from the time the token was issued; always sent
	Cnf         *Confirmation // the input material; nil when rights are updated
	Profile     Profile       // 0 if absent
	Scope       Scope         // what was granted; nil if it is what was asked for
}

// Marshal returns the response as a map.
func (p *TokenResponse) Marshal() []byte {
	var w wire.Writer
	w.Bytes(paramAccessToken, p.AccessToken)
	w.Uint(paramExpiresIn, uint64(max(0, p.ExpiresIn)/time.Second))
	w.Raw(paramCnf, p.Cnf.marshal())
	addScope(&w, paramScope, p.Scope)
	if p.Profile != 0 {
		w.Int(paramProfile, int64(p.Profile))
	}
	return w.Encode()
}

// maxToken bounds an access token, in bytes. A token for [MaxScopeEntries] groups with long names is well below.
const maxToken = 64 << 10

// ParseTokenResponse reads a response for the OSCORE profile: one that has a token of type PoP and says how long it lives
// (RFC 9200, Section 5.10.4). A Client uses no other.
func ParseTokenResponse(b []byte) (*TokenResponse, error) {
	r := wire.NewReader(b)
	r.Require(paramAccessToken, paramExpiresIn)
	p := &TokenResponse{AccessToken: readToken(r)}
	const most = 100 * 365 * 24 * 3600 // a century: no overflow, and nobody means more
	s, _ := r.Uint(paramExpiresIn)
	p.ExpiresIn = time.Duration(min(s, most)) * time.Second
	p.Cnf, _ = wire.Field(r, paramCnf, parseConfirmation)
	p.Scope = readScope(r, paramScope)
	if v, ok := r.Int(paramProfile); ok {
		p.Profile = Profile(v)
		if p.Profile != ProfileCoAPOSCORE {
			r.Failf("profile %d is not supported", v)
		}
	}
	if v, ok := r.Int(paramTokenType); ok && v != tokenTypePoP {
		r.Failf("token type %d is not supported", v)
	}
	if r.Has(paramRSCnf) {
		r.Failf("rs_cnf has no place beside a symmetric key")
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	return p, nil
}

func readToken(r *wire.Reader) []byte {
	t := r.Bytes(paramAccessToken)
	if t != nil && (len(t) == 0 || len(t) > maxToken) {
		r.Failf("a token of %d bytes", len(t))
	}
	return t
}
