package coap

import (
	"errors"
	"strings"
	"sync"

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
		news := s.changes.tell(peer.peer, options)
		if endpoint.IsNotification(r.Context()) {
			if !news {
				return // no answer: the observation stays as it is
			}
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
	s.changes.note(requesters)
	_, _, list := s.as.Paths()
	ep.Notify(list)
}

// listChanges knows which changes of the list each observation has been told, so
// that a change notifies only those it concerns.
type listChanges struct {
	mu      sync.Mutex
	changed map[authserver.Peer]uint64 // how often the list has changed for a requester
	told    map[observation]uint64     // of that, what was told
}

// observation is one query of one requester.
type observation struct {
	peer  authserver.Peer
	query string
}

// maxTold bounds what is remembered; what is forgotten is told once too often.
const maxTold = 1 << 14

func (c *listChanges) note(requesters []authserver.Peer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.changed == nil {
		c.changed = map[authserver.Peer]uint64{}
	}
	if len(c.changed) >= maxTold {
		clear(c.changed)
		clear(c.told)
	}
	for _, p := range requesters {
		c.changed[p]++
	}
}

// tell notes that a requester is told the list as it is, and reports whether
// there is anything new in it.
func (c *listChanges) tell(p authserver.Peer, options []string) (news bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.told == nil {
		c.told = map[observation]uint64{}
	}
	if len(c.told) >= maxTold {
		clear(c.told)
	}
	o := observation{p, strings.Join(options, "&")}
	told, known := c.told[o]
	c.told[o] = c.changed[p]
	return !known || told != c.changed[p]
}
