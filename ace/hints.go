package ace

import (
	"github.com/cohort-iot/cohort/ace/internal/wire"
)

// RequestCreationHints tell a Client that has no valid token where to get one: the payload of 4.01, of Content-Format 19
// (RFC 9200, Section 5.3). Over an unprotected answer they say as little as helps. All fields are optional.
type RequestCreationHints struct {
	AS       string // absolute URI of the token endpoint
	KID      []byte // key of an existing association to use again; nil if absent
	Audience string
	Scope    Scope  // nil if absent
	CNonce   []byte // client-nonce, to be copied into the token request; nil if absent
}

// Marshal returns the hints as a map.
func (h *RequestCreationHints) Marshal() []byte {
	var w wire.Writer
	w.Text(hintAS, h.AS)
	w.Bytes(hintKID, h.KID)
	w.Text(hintAudience, h.Audience)
	addScope(&w, hintScope, h.Scope)
	w.Bytes(hintCNonce, h.CNonce)
	return w.Encode()
}

// ParseRequestCreationHints reads hints. They are not authenticated: a Client asks no Authorization Server for a token that it
// does not know to be entitled to issue it (RFC 9200, Sections 5.1 and 6.9). A scope of another application is left out.
func ParseRequestCreationHints(b []byte) (*RequestCreationHints, error) {
	r := wire.NewReader(b)
	h := &RequestCreationHints{KID: r.Bytes(hintKID), CNonce: r.Bytes(hintCNonce)}
	h.AS, _ = r.Text(hintAS)
	h.Audience, _ = r.Text(hintAudience)
	if len(h.CNonce) > maxCNonce {
		r.Failf("a cnonce of %d bytes", len(h.CNonce))
	}
	if raw := r.Raw(hintScope); raw != nil && !wire.IsText(raw) {
		s := r.Bytes(hintScope)
		if scope, err := ParseScope(s); err == nil {
			h.Scope = scope
		}
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	return h, nil
}
