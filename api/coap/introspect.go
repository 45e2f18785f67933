package coap

import (
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/mux"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/endpoint"
)

// introspect is /introspect: a resource server, known by the context it derived
// from its enrolment secret, asks about a token (RFC 9200, Section 5.9). One
// whose credentials are not valid any more gets 4.01 with invalid_client, one
// that is not entitled 4.03 and nothing else.
func (s *ASServer) introspect() mux.Handler {
	invalid := (&ace.Error{Number: ace.InvalidClient}).Payload()
	return endpoint.Methods{codes.POST: mux.HandlerFunc(func(w mux.ResponseWriter, r *mux.Message) {
		peer, ok := s.authenticated(w, r, invalid)
		if !ok {
			return
		}
		body, ok := s.body(w, r, ace.ContentFormatACE)
		if !ok {
			return
		}
		q, err := ace.ParseIntrospectionRequest(body)
		if err != nil {
			s.refuseError(w, r, peer.name, &ace.Error{Code: codes.BadRequest, Number: ace.InvalidRequest, Description: err.Error(), Err: err})
			return
		}
		out, err := s.as.Introspect(r.Context(), peer.peer, q)
		if err != nil {
			s.refuseError(w, r, peer.name, err)
			return
		}
		s.send(w, codes.Created, ace.ContentFormatACE, out.Marshal())
	})}
}
