package coap

import (
	"context"
	"errors"

	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/mux"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/authserver"
)

// Issuer is the Authorization Server's side of /token. *authserver.Service
// implements it.
type Issuer interface {
	ClientByID(id []byte) (*authserver.Association, error)
	Began(client uint64) authserver.Session
	Used(ctx context.Context, s authserver.Session) error
	Issue(ctx context.Context, client uint64, q *ace.TokenRequest) (*ace.TokenResponse, error)
	Refuse(ctx context.Context, client string, err error) (*ace.Error, error)
}

// token is /token: a device, known by the context it derived from its enrolment
// secret, asks for an access token (RFC 9200, Section 5.8).
func (s *Server) token() mux.Handler {
	return endpoint.Methods{codes.POST: mux.HandlerFunc(func(w mux.ResponseWriter, r *mux.Message) {
		peer, _ := endpoint.PeerFrom(r.Context())
		ses, name, ok := s.as.use(peer.Association)
		if !ok {
			s.send(w, codes.Unauthorized, 0, nil)
			return
		}
		if err := s.as.as.Used(r.Context(), ses); err != nil {
			s.log.WarnContext(r.Context(), "token request refused", "client", name, "error", err)
			s.send(w, codes.Unauthorized, 0, nil)
			return
		}
		body, ok := s.body(w, r, ace.ContentFormatACE)
		if !ok {
			return
		}
		s.issue(w, r, ses.Client, name, body)
	})}
}

func (s *Server) issue(w mux.ResponseWriter, r *mux.Message, client uint64, name string, body []byte) {
	q, err := ace.ParseTokenRequest(body)
	if err != nil {
		refusal, ferr := s.as.as.Refuse(r.Context(), name, err)
		if ferr != nil {
			s.fault(w, r, ferr)
			return
		}
		s.send(w, refusal.Code, ace.ContentFormatACE, refusal.Payload())
		return
	}
	out, err := s.as.as.Issue(r.Context(), client, q)
	var refusal *ace.Error
	switch {
	case errors.As(err, &refusal):
		s.log.InfoContext(r.Context(), "token request refused", "client", name, "error", err)
		s.send(w, refusal.Code, ace.ContentFormatACE, refusal.Payload())
	case err != nil:
		s.fault(w, r, err)
	default:
		s.send(w, codes.Created, ace.ContentFormatACE, out.Marshal())
	}
}

func (s *Server) fault(w mux.ResponseWriter, r *mux.Message, err error) {
	s.log.ErrorContext(r.Context(), "request failed", "path", path(r), "error", err)
	s.send(w, codes.InternalServerError, 0, nil)
}
