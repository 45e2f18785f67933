package ace

import (
	"fmt"
	"time"

	"github.com/cohort-iot/cohort/ace/internal/wire"
)

// TokenResponse gives a Client its access token: the payload of 2.01 from /token, of Content-Format 19 (RFC 9200,
// Section 5.8.2; RFC 9203, Section 3.2). Its Cnf holds a secret: it must not travel but over a secure association.
type TokenResponse struct {
	AccessToken []byte
	ExpiresIn   time.Duration // whole seconds from the time the token was issued; always sent
	Cnf         *Confirmation // the key it is bound to, if the Client does not have it; nil when rights are updated
	RSCnf       *Confirmation // the Resource Server's key, only of tokens bound to a public key and for one audience
	Bearer      bool          // no proof of possession: token_type is sent then. None is issued or used here
	Profile     Profile       // 0 if absent
	Scope       Scope         // what was granted; nil if it is what was asked for
}

// Marshal returns the response as a map.
func (p *TokenResponse) Marshal() []byte {
	var w wire.Writer
	w.Bytes(paramAccessToken, p.AccessToken)
	w.Uint(paramExpiresIn, uint64(max(0, p.ExpiresIn)/time.Second))
	w.Raw(paramCnf, p.Cnf.marshal())
	w.Raw(paramRSCnf, p.RSCnf.marshal())
	if p.Bearer {
		w.Int(paramTokenType, tokenTypeBearer)
	}
	addScope(&w, paramScope, p.Scope)
	if p.Profile != 0 {
		w.Int(paramProfile, int64(p.Profile))
	}
	return w.Encode()
}

// maxToken bounds an access token, in bytes. A token for [MaxScopeEntries] groups with long names is well below.
const maxToken = 64 << 10

// ParseTokenResponse reads a response for the OSCORE profile: a PoP token bound to input material, without a key of the Resource
// Server. A Client of that profile uses no other.
func ParseTokenResponse(b []byte) (*TokenResponse, error) {
	p, err := ParseAccessInformation(b)
	switch {
	case err != nil:
		return nil, err
	case p.Bearer:
		return nil, fmt.Errorf("%w: not a token with proof of possession", ErrMalformed)
	case p.Profile != 0 && p.Profile != ProfileCoAPOSCORE:
		return nil, fmt.Errorf("%w: profile %d is not supported", ErrMalformed, p.Profile)
	case p.RSCnf != nil:
		return nil, fmt.Errorf("%w: rs_cnf has no place beside a symmetric key", ErrMalformed)
	}
	return p, nil
}

// ParseAccessInformation reads a response for any profile: one that has a token and says how long it lives (RFC 9200,
// Section 5.10.4). A key of either side has to be complete.
func ParseAccessInformation(b []byte) (*TokenResponse, error) {
	r := wire.NewReader(b)
	r.Require(paramAccessToken, paramExpiresIn)
	p := &TokenResponse{AccessToken: readToken(r)}
	const most = 100 * 365 * 24 * 3600 // a century: no overflow, and nobody means more
	s, _ := r.Uint(paramExpiresIn)
	p.ExpiresIn = time.Duration(min(s, most)) * time.Second
	p.Cnf, _ = wire.Field(r, paramCnf, parseConfirmation)
	p.RSCnf, _ = wire.Field(r, paramRSCnf, parseConfirmation)
	for _, c := range []*Confirmation{p.Cnf, p.RSCnf} {
		if c != nil && !c.Key.IsZero() {
			if _, err := ParsePoPKey(c.Key.Bytes()); err != nil {
				r.Fail(fmt.Errorf("%w: %w", ErrMalformed, err))
			}
		}
	}
	p.Scope = readScope(r, paramScope)
	if v, ok := r.Int(paramProfile); ok {
		p.Profile = Profile(v)
	}
	if v, ok := r.Int(paramTokenType); ok {
		if p.Bearer = v == tokenTypeBearer; !p.Bearer && v != tokenTypePoP {
			r.Failf("token type %d is not known", v)
		}
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
