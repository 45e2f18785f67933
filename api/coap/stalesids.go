package coap

import (
	"github.com/plgd-dev/go-coap/v3/mux"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// staleSIDs is /ace-group/GROUPNAME/stale-sids: the Sender IDs given up since
// the version that the member holds; no payload when that is too long ago
// (draft-ietf-ace-key-groupcomm-oscore-21, Section 9.8).
func (s *Server) staleSIDs() mux.Handler {
	return endpoint.Methods{coapmsg.FETCH: s.resource(ace.ContentFormatCBOR, func(c *call) {
		ids, err := s.manager.StaleSIDs(c.r.Context(), c.caller, c.group, c.body)
		if err != nil {
			s.refuse(c.w, c.r, err)
			return
		}
		s.content(c, ace.ContentFormatCBOR, groupcomm.MarshalStaleSIDs(ids))
	})}
}
