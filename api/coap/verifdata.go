package coap

import (
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/mux"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/endpoint"
)

// verifData is /ace-group/GROUPNAME/verif-data: what a signature verifier needs
// (draft-ietf-ace-key-groupcomm-oscore-21, Section 9.6).
func (s *Server) verifData() mux.Handler {
	return endpoint.Methods{codes.GET: s.resource(0, func(c *call) {
		out, err := s.manager.VerificationData(c.r.Context(), c.caller, c.group)
		if err != nil {
			s.refuse(c.w, c.r, err)
			return
		}
		s.content(c, ace.ContentFormatGroupcomm, out.Marshal())
	})}
}
