package coap

import (
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/mux"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/endpoint"
)

// num is /ace-group/GROUPNAME/num: the current version, a bare integer
// (RFC 9594, Section 4.7).
func (s *Server) num() mux.Handler {
	return endpoint.Methods{codes.GET: s.resource(0, func(c *call) {
		v, err := s.manager.Num(c.r.Context(), c.caller, c.group)
		if err != nil {
			s.refuse(c.w, c.r, err)
			return
		}
		s.content(c, ace.ContentFormatCBOR, groupcomm.MarshalNum(v))
	})}
}
