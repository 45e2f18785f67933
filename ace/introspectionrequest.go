package ace

import (
	"github.com/cohort-iot/cohort/ace/internal/wire"
)

// IntrospectionRequest asks an Authorization Server about a token: the payload of POST /introspect, of Content-Format 19
// (RFC 9200, Section 5.9.1).
type IntrospectionRequest struct {
	Token []byte // as the Client presented it
}

// Marshal returns the request as a map.
func (q *IntrospectionRequest) Marshal() []byte {
	var w wire.Writer
	w.Bytes(introToken, q.Token)
	return w.Encode()
}

// ParseIntrospectionRequest reads a request. A token_type_hint may be text or an integer, as the text has both, and plays no part;
// nor do other parameters of context.
func ParseIntrospectionRequest(b []byte) (*IntrospectionRequest, error) {
	r := wire.NewReader(b)
	r.Require(introToken)
	q := &IntrospectionRequest{Token: r.Bytes(introToken)}
	if r.Err() == nil && (len(q.Token) == 0 || len(q.Token) > maxToken) {
		r.Failf("a token of %d bytes", len(q.Token))
	}
	if raw := r.Raw(introTokenTypeHint); raw != nil && !wire.IsText(raw) {
		r.Int(introTokenTypeHint)
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	return q, nil
}
