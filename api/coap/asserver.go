package coap

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/mux"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/ace/trl"
	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/authserver"
	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// AuthServer is the Authorization Server's domain. *authserver.Service
// implements it.
type AuthServer interface {
	associations
	Issue(ctx context.Context, p authserver.Peer, q *ace.TokenRequest) (*ace.TokenResponse, error)
	Refuse(ctx context.Context, p authserver.Peer, client string, err error) (*ace.Error, error)
	Introspect(ctx context.Context, p authserver.Peer, q *ace.IntrospectionRequest) (*ace.IntrospectionResponse, error)
	revocationList
	Paths() (token, introspect, list string)
}

// associations are the contexts with devices and resource servers.
type associations interface {
	PeerByID(id []byte) (*authserver.Association, error)
	Began(p authserver.Peer) authserver.Session
	Used(ctx context.Context, s authserver.Session) error
}

// revocationList is the list of revoked tokens.
type revocationList interface {
	TRL(ctx context.Context, p authserver.Peer, options []string) (*trl.Response, error)
	Notification(ctx context.Context, p authserver.Peer, options []string) (*trl.Response, error)
}

// ASServer is the CoAP resources of an Authorization Server: the token endpoint,
// introspection and the list of revoked tokens. It runs alone, or beside a Group
// Manager on one endpoint.
type ASServer struct {
	responder
	as     AuthServer
	opener *asOpener
}

// NewASServer makes an ASServer. Give Handler and Opener to an endpoint; log may
// be nil.
func NewASServer(as AuthServer, random io.Reader, log *slog.Logger) (*ASServer, error) {
	if as == nil || random == nil {
		return nil, errors.New("coap: an authorization server and a random source are required")
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &ASServer{responder: responder{log}, as: as, opener: newASOpener(as, random)}, nil
}

// Opener recognises the requests of devices and resource servers under contexts
// with the Authorization Server.
func (s *ASServer) Opener() endpoint.RequestOpener { return s.opener }

// Register adds the resources to a mux.
func (s *ASServer) Register(m *endpoint.Mux) {
	token, introspect, list := s.as.Paths()
	m.Handle(token, endpoint.AcceptOSCORE, s.token())
	m.Handle(introspect, endpoint.AcceptOSCORE, s.introspect())
	m.Handle(list, endpoint.AcceptOSCORE, endpoint.Observable(s.revocations()))
}

// Handler serves the resources alone.
func (s *ASServer) Handler() mux.Handler {
	m := endpoint.NewMux()
	s.Register(m)
	return m
}

// asPeer is who makes a request under a context with the Authorization Server.
type asPeer struct {
	peer authserver.Peer
	name string
}

// authenticated finds out who makes a request. If that is nobody it answers 4.01
// and reports false; payload goes with the answer to one whose context a newer
// one has replaced.
func (s *ASServer) authenticated(w mux.ResponseWriter, r *mux.Message, payload []byte) (asPeer, bool) {
	peer, _ := endpoint.PeerFrom(r.Context())
	ses, name, ok := s.opener.use(peer.Association)
	if !ok {
		s.send(w, codes.Unauthorized, 0, nil)
		return asPeer{}, false
	}
	if err := s.as.Used(r.Context(), ses); err != nil {
		s.log.WarnContext(r.Context(), "request refused", "path", path(r), "peer", name, "error", err)
		s.send(w, codes.Unauthorized, ace.ContentFormatACE, payload)
		return asPeer{}, false
	}
	return asPeer{ses.Peer, name}, true
}

// refuseError answers with an error of the framework.
func (s *responder) refuseError(w mux.ResponseWriter, r *mux.Message, name string, err error) {
	var refusal *ace.Error
	if !errors.As(err, &refusal) {
		s.fault(w, r, err)
		return
	}
	s.log.InfoContext(r.Context(), "request refused", "path", path(r), "peer", name, "error", err)
	s.send(w, refusal.Code, ace.ContentFormatACE, refusal.Payload(), maxAge(refusal.RetryAfter)...)
}

// maxAge tells when it is worth to ask again (RFC 7252, Section 5.9.3.4;
// RFC 8516); nothing if d is 0.
func maxAge(d time.Duration) []message.Option {
	if d <= 0 {
		return nil
	}
	return []message.Option{{ID: message.MaxAge, Value: coapmsg.EncodeUint(uint32((d + time.Second - 1) / time.Second))}}
}
