package coap

import (
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/mux"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/endpoint"
)

// token is /token: a device, known by the context it derived from its enrolment
// secret, asks for an access token (RFC 9200, Section 5.8).
func (s *ASServer) token() mux.Handler {
	return endpoint.Methods{codes.POST: mux.HandlerFunc(func(w mux.ResponseWriter, r *mux.Message) {
		peer, ok := s.authenticated(w, r, nil)
		if !ok {
			return
		}
		body, ok := s.body(w, r, ace.ContentFormatACE)
		if !ok {
			return
		}
		q, err := ace.ParseTokenRequest(body)
		if err != nil {
			refusal, ferr := s.as.Refuse(r.Context(), peer.peer, peer.name, err)
			if ferr != nil {
				s.fault(w, r, ferr)
				return
			}
			s.refuseError(w, r, peer.name, refusal)
			return
		}
		out, err := s.as.Issue(r.Context(), peer.peer, q)
		if err != nil {
			s.refuseError(w, r, peer.name, err)
			return
		}
		s.send(w, codes.Created, ace.ContentFormatACE, out.Marshal(), maxAge(out.ExpiresIn)...)
	})}
}
