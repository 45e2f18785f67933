package coap

import (
	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/mux"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/manager"
)

// group is /ace-group/GROUPNAME: joining and the current keying material
// (RFC 9594, Section 4.3). It may be observed; each rekeying is a notification.
func (s *Server) group() mux.Handler {
	return endpoint.Observable(endpoint.Methods{
		codes.POST: s.resource(ace.ContentFormatGroupcomm, s.join),
		codes.GET: s.resource(0, func(c *call) {
			get := s.manager.Material
			if endpoint.IsNotification(c.r.Context()) {
				get = s.manager.MaterialUpdate
			}
			out, err := get(c.r.Context(), c.caller, c.group)
			if err != nil {
				s.refuse(c.w, c.r, err)
				return
			}
			s.content(c, ace.ContentFormatGroupcomm, out.Marshal())
		}),
	})
}

func (s *Server) join(c *call) {
	res, err := s.manager.Join(c.r.Context(), c.caller, c.group, c.body)
	if err != nil {
		s.refuse(c.w, c.r, err)
		return
	}
	code := codes.Changed
	if res.Created {
		code = codes.Created
	}
	s.send(c.w, code, ace.ContentFormatGroupcomm, res.Response.Marshal(), location(c.group, res.Node)...)
}

// location gives the Location-Path options of a member's node resource, one for
// each segment.
func location(group, node string) []message.Option {
	var opts []message.Option
	for _, segment := range []string{manager.RootPath, group, "nodes", node} {
		opts = append(opts, message.Option{ID: message.LocationPath, Value: []byte(segment)})
	}
	return opts
}
