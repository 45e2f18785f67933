package coap

import (
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/mux"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/endpoint"
)

// policies is /ace-group/GROUPNAME/policies (RFC 9594, Section 4.6).
func (s *Server) policies() mux.Handler {
	return endpoint.Methods{codes.GET: s.resource(0, func(c *call) {
		p, err := s.manager.Policies(c.r.Context(), c.caller, c.group)
		if err != nil {
			s.refuse(c.w, c.r, err)
			return
		}
		s.content(c, ace.ContentFormatGroupcomm, groupcomm.PoliciesResponse{Policies: p}.Marshal())
	})}
}
