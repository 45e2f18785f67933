package coap

import (
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/mux"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// creds is /ace-group/GROUPNAME/creds: the credentials of all members, or of
// those a filter asks for (RFC 9594, Section 4.4).
func (s *Server) creds() mux.Handler {
	serve := func(c *call, filter []byte) {
		out, found, err := s.manager.Credentials(c.r.Context(), c.caller, c.group, filter)
		switch {
		case err != nil:
			s.refuse(c.w, c.r, err)
		case !found:
			s.result(c, []byte(groupcomm.EmptyResult))
		default:
			s.result(c, out.Marshal())
		}
	}
	return endpoint.Methods{
		codes.GET: s.resource(0, func(c *call) { serve(c, nil) }),
		coapmsg.FETCH: s.resource(ace.ContentFormatGroupcomm, func(c *call) {
			if c.body == nil {
				c.body = []byte{}
			}
			serve(c, c.body)
		}),
	}
}
