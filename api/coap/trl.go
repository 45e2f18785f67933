package coap

import (
	"errors"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/mux"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/ace/trl"
	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/authserver"
)

// revocations is /revoke/trl: a device, a resource server or an administrator
// asks which tokens were revoked (RFC 9770, Section 6), and may observe that.
// Only GET is served.
func (s *ASServer) revocations() mux.Handler {
	return endpoint.Methods{codes.GET: mux.HandlerFunc(func(w mux.ResponseWriter, r *mux.Message) {
		peer, ok := s.authenticated(w, r, nil)
		if !ok {
			return
		}
		var options []string
		for _, o := range r.Options() {
			if o.ID == message.URIQuery {
				options = append(options, string(o.Value))
			}
		}
		ask := s.as.TRL
		if endpoint.IsNotification(r.Context()) {
			ask = s.as.Notification
		}
		out, err := ask(r.Context(), peer.peer, options)
		var problem *trl.Problem
		switch {
		case errors.As(err, &problem):
			s.log.InfoContext(r.Context(), "query of revoked tokens refused", "peer", peer.name, "detail", problem.Error())
			s.send(w, codes.BadRequest, ace.ContentFormatProblem, problem.Marshal())
		case errors.Is(err, authserver.ErrNotFound), errors.Is(err, authserver.ErrDisabled):
			s.send(w, codes.Forbidden, 0, nil)
		case err != nil:
			s.refuseError(w, r, peer.name, err)
		default:
			s.send(w, codes.Content, ace.ContentFormatTRL, out.Marshal())
		}
	})}
}

// ListChanged notifies those who observe the list of revoked tokens and whose
// part of it has changed (RFC 9770, Section 11). It serves ListChanged of
// authserver.Config, once ep is there.
func (s *ASServer) ListChanged(ep *endpoint.Endpoint, requesters []authserver.Peer) {
	concerned := make(map[authserver.Peer]bool, len(requesters))
	for _, p := range requesters {
		concerned[p] = true
	}
	_, _, list := s.as.Paths()
	ep.NotifyWhere(list, func(p endpoint.Peer) bool {
		switch v := p.Association.(type) {
		case *superseded:
			return concerned[v.peer]
		case *device:
			return concerned[v.peer]
		}
		return false
	})
}
