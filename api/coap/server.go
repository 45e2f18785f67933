package coap

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/mux"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/clock"
	"github.com/cohort-iot/cohort/internal/manager"
)

// Config configures a Server.
type Config struct {
	Manager  *manager.Service // required
	Sessions *Sessions        // required; the same as the manager's ports
	// Audience is this Group Manager's name in tokens. Required.
	Audience string
	// Issuers are the Authorization Servers it trusts. Required.
	Issuers []ace.TrustedAS
	// Revoked says whether a token was revoked; nil: none is.
	Revoked func(ace.TokenHash) bool

	// AS serves /token; nil: this process is no Authorization Server.
	AS Issuer
	// TokenURI is told to those who come without a token; empty: nothing is told.
	TokenURI string

	Clock clock.Clock  // nil: the system's
	Rand  io.Reader    // nil: crypto/rand
	Log   *slog.Logger // nil: nothing is logged

	// MaxPending bounds the associations that are not confirmed; 0: the default of
	// ace.RSConfig.
	MaxPending int
}

// Server is the CoAP resources of a Group Manager, and of the Authorization
// Server if it is one.
type Server struct {
	manager  *manager.Service
	sessions *Sessions
	rs       *ace.ResourceServer
	as       *asOpener
	mux      *endpoint.Mux
	log      *slog.Logger
}

// New makes a Server. It serves nothing by itself: give Handler and Openers to
// an endpoint.
func New(c Config) (*Server, error) {
	if c.Manager == nil || c.Sessions == nil {
		return nil, errors.New("coap: a manager and its sessions are required")
	}
	if c.Clock == nil {
		c.Clock = clock.System()
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{manager: c.Manager, sessions: c.Sessions, log: c.Log}
	var err error
	s.rs, err = ace.NewResourceServer(ace.RSConfig{
		Audience: c.Audience, Issuers: c.Issuers, AllocateID: c.Sessions.AllocateID, Clock: c.Clock, Rand: c.Rand,
		Revoked: c.Revoked, Describe: s.describe, Dropped: c.Sessions.DropPending, MaxPending: c.MaxPending,
	}, c.Manager)
	if err != nil {
		return nil, fmt.Errorf("coap: %w", err)
	}
	if c.AS != nil {
		s.as = newASOpener(c.AS, c.Rand)
	}
	s.routes(c)
	return s, nil
}

// routes lays out the resources. Only authz-info and the list of resources take
// requests in clear.
func (s *Server) routes(c Config) {
	s.mux = endpoint.NewMux()
	root := "/" + manager.RootPath
	group := root + "/{group}"
	for pattern, h := range map[string]mux.Handler{
		root:                         s.root(),
		group:                        s.group(),
		group + "/creds":             s.creds(),
		group + "/kdc-cred":          s.kdcCred(),
		group + "/policies":          s.policies(),
		group + "/num":               s.num(),
		group + "/active":            s.active(),
		group + "/verif-data":        s.verifData(),
		group + "/stale-sids":        s.staleSIDs(),
		group + "/nodes/{node}":      s.node(),
		group + "/nodes/{node}/cred": s.nodeCred(),
	} {
		s.mux.Handle(pattern, endpoint.AcceptOSCORE, h)
	}
	s.mux.Handle("/authz-info", endpoint.AcceptPlain|endpoint.AcceptOSCORE, s.authzInfo())
	s.mux.Handle("/.well-known/core", endpoint.AcceptPlain|endpoint.AcceptOSCORE, s.wellKnown())
	if s.as != nil {
		s.mux.Handle("/token", endpoint.AcceptOSCORE, s.token())
	}
	if c.TokenURI != "" {
		hints := (&ace.RequestCreationHints{AS: c.TokenURI, Audience: c.Audience}).Marshal()
		s.mux.Hints = func(string) (message.MediaType, []byte) { return ace.ContentFormatACE, hints }
	}
}

// Mux is where the resources are. Others may be added before serving.
func (s *Server) Mux() *endpoint.Mux { return s.mux }

// Handler serves the resources.
func (s *Server) Handler() mux.Handler { return s.mux }

// Openers recognise the requests of devices: those under an association with the
// Group Manager, and those under a context with the Authorization Server.
func (s *Server) Openers() []endpoint.RequestOpener {
	if s.as == nil {
		return []endpoint.RequestOpener{s.sessions}
	}
	return []endpoint.RequestOpener{s.sessions, s.as}
}

// SetIssuers replaces the Authorization Servers trusted from now on.
func (s *Server) SetIssuers(list []ace.TrustedAS) { s.rs.SetIssuers(list) }

// Close ends all pending associations.
func (s *Server) Close() { s.rs.Close() }
