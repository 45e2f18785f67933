package coap

import (
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/mux"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/endpoint"
)

// nodeCred is /ace-group/GROUPNAME/nodes/NODENAME/cred: a new credential for that
// member (RFC 9594, Section 4.9.1).
func (s *Server) nodeCred() mux.Handler {
	return endpoint.Methods{codes.POST: s.resource(ace.ContentFormatGroupcomm, func(c *call) {
		if err := s.manager.UpdateCredential(c.r.Context(), c.caller, c.group, c.node, c.body); err != nil {
			s.refuse(c.w, c.r, err)
			return
		}
		s.send(c.w, codes.Changed, 0, nil)
	})}
}
