package coap

import (
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/mux"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/endpoint"
)

// node is /ace-group/GROUPNAME/nodes/NODENAME, for that member alone: material
// with its Sender ID, a new Sender ID, leaving (RFC 9594, Section 4.8). Who
// observes it hears of its eviction.
func (s *Server) node() mux.Handler {
	return endpoint.Observable(endpoint.Methods{
		codes.GET: s.resource(0, func(c *call) {
			out, err := s.manager.NodeMaterial(c.r.Context(), c.caller, c.group, c.node)
			if err != nil {
				s.refuse(c.w, c.r, err)
				return
			}
			s.content(c, ace.ContentFormatGroupcomm, out.Marshal())
		}),
		codes.POST: s.resource(0, func(c *call) {
			if len(c.body) > 0 {
				s.send(c.w, codes.BadRequest, 0, nil) // a Key Renewal Request is empty
				return
			}
			out, err := s.manager.NewSenderID(c.r.Context(), c.caller, c.group, c.node)
			switch {
			case err != nil:
				s.refuse(c.w, c.r, err)
			case out.Rekey != nil:
				s.send(c.w, codes.Changed, ace.ContentFormatGroupcomm, out.Rekey.Marshal())
			default:
				s.send(c.w, codes.Changed, ace.ContentFormatGroupcomm, out.SenderID.Marshal())
			}
		}),
		codes.DELETE: s.resource(0, func(c *call) {
			if err := s.manager.Leave(c.r.Context(), c.caller, c.group, c.node); err != nil {
				s.refuse(c.w, c.r, err)
				return
			}
			s.send(c.w, codes.Deleted, 0, nil)
		}),
	})
}
