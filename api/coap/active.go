package coap

import (
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/mux"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/endpoint"
)

// active is /ace-group/GROUPNAME/active: whether the group is active, a bare
// boolean (draft-ietf-ace-key-groupcomm-oscore-21, Section 8.2.1). It may be observed.
func (s *Server) active() mux.Handler {
	return endpoint.Observable(endpoint.Methods{codes.GET: s.resource(0, func(c *call) {
		on, err := s.manager.Active(c.r.Context(), c.caller, c.group)
		if err != nil {
			s.refuse(c.w, c.r, err)
			return
		}
		s.content(c, ace.ContentFormatCBOR, groupcomm.MarshalActive(on))
	})})
}
