package coap

import (
	"github.com/plgd-dev/go-coap/v3/mux"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// root is /ace-group: which groups have the given Gids now
// (RFC 9594, Section 4.2). An empty result has Content-Format 60, as it is a
// byte string and no map.
func (s *Server) root() mux.Handler {
	return endpoint.Methods{coapmsg.FETCH: s.resource(ace.ContentFormatGroupcomm, func(c *call) {
		out, err := s.manager.Gids(c.r.Context(), c.caller, c.body)
		if err != nil {
			s.refuse(c.w, c.r, err)
			return
		}
		s.result(c, out.Marshal())
	})}
}

// result answers 2.05 with a map of Content-Format 261, or with the empty result.
func (s *Server) result(c *call, body []byte) {
	if groupcomm.IsEmptyResult(body) {
		s.content(c, ace.ContentFormatCBOR, body)
		return
	}
	s.content(c, ace.ContentFormatGroupcomm, body)
}
