package coap

import (
	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/mux"

	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/manager"
)

// call is a request under an association with the Group Manager.
type call struct {
	w      mux.ResponseWriter
	r      *mux.Message
	caller manager.Caller
	group  string // path segment GROUPNAME, if the resource has one
	node   string // path segment NODENAME
	body   []byte
}

// resource makes a handler of f for requests of one Content-Format, or of any
// when format is 0; a request may leave it out. What does not come under an
// association with the Group Manager is 4.01: a context with the Authorization
// Server opens nothing here.
func (s *Server) resource(format message.MediaType, f func(c *call)) mux.Handler {
	return mux.HandlerFunc(func(w mux.ResponseWriter, r *mux.Message) {
		peer, _ := endpoint.PeerFrom(r.Context())
		ses, ok := peer.Association.(*session)
		if !ok || peer.Mode != endpoint.OSCORE {
			s.send(w, codes.Unauthorized, 0, nil)
			return
		}
		c := &call{w: w, r: r, caller: ses.caller(peer.Addr)}
		if v := r.RouteParams; v != nil {
			c.group, c.node = v.Vars["group"], v.Vars["node"]
		}
		body, ok := s.body(w, r, format)
		if !ok {
			return
		}
		c.body = body
		f(c)
	})
}

// content answers 2.05.
func (s *Server) content(c *call, format message.MediaType, body []byte) {
	s.send(c.w, codes.Content, format, body)
}
