package coap

import (
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/mux"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// kdcCred is /ace-group/GROUPNAME/kdc-cred: the Group Manager's credential, by
// GET for members (RFC 9594, Section 4.5.1) and by FETCH for signature verifiers
// (draft-ietf-ace-key-groupcomm-oscore-21, Section 8.1.1).
func (s *Server) kdcCred() mux.Handler {
	return endpoint.Methods{
		codes.GET: s.resource(0, func(c *call) {
			out, err := s.manager.KDCCred(c.r.Context(), c.caller, c.group)
			if err != nil {
				s.refuse(c.w, c.r, err)
				return
			}
			s.content(c, ace.ContentFormatGroupcomm, out.Marshal())
		}),
		coapmsg.FETCH: s.resource(ace.ContentFormatGroupcomm, func(c *call) {
			out, err := s.manager.VerifierKDCCred(c.r.Context(), c.caller, c.group, c.body)
			if err != nil {
				s.refuse(c.w, c.r, err)
				return
			}
			s.content(c, ace.ContentFormatGroupcomm, out.Marshal())
		}),
	}
}
