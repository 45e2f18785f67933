package ace

import (
	"github.com/cohort-iot/cohort/ace/internal/wire"
)

// IntrospectionResponse is what an Authorization Server says of a token: the payload of 2.01 from /introspect, of
// Content-Format 19 (RFC 9200, Section 5.9.2). With the claim cnf of a token bound to a symmetric key it holds that key: it must
// not travel but over a secure association.
type IntrospectionResponse struct {
	Active   bool
	Claims   *Claims // nil if not active
	ClientID string  // empty if absent
	Username string  // empty if absent

	raw *rawClaims // as they came
}

// Marshal returns the response as a map. Of a token that is not active nothing else is said.
func (p *IntrospectionResponse) Marshal() []byte {
	var w wire.Writer
	w.Bool(introActive, p.Active)
	if p.Active && p.Claims != nil {
		p.Claims.add(&w)
		w.Text(introClientID, p.ClientID)
		w.Text(introUsername, p.Username)
	}
	return w.Encode()
}

// ParseIntrospectionResponse reads a response. For a token that is active it has to have cnf: there are no others than PoP
// tokens here (RFC 9201, Section 4).
func ParseIntrospectionResponse(b []byte) (*IntrospectionResponse, error) {
	r := wire.NewReader(b)
	r.Require(introActive)
	p := &IntrospectionResponse{}
	p.Active, _ = r.Bool(introActive)
	if r.Err() == nil && !p.Active {
		return p, nil
	}
	r.Require(claimCnf)
	p.raw = claimsOf(r)
	p.ClientID, _ = r.Text(introClientID)
	p.Username, _ = r.Text(introUsername)
	if v, ok := r.Int(introTokenType); ok && v != tokenTypePoP {
		r.Failf("token type %d is not supported", v)
	}
	err := r.Err()
	if err == nil {
		p.Claims, err = p.raw.whole()
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}
