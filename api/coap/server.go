package coap

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"

	"github.com/plgd-dev/go-coap/v3/mux"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/clock"
	"github.com/cohort-iot/cohort/internal/manager"
	"github.com/cohort-iot/cohort/internal/ratelimit"
)

// Config configures a Server.
type Config struct {
	Manager  *manager.Service // required
	Sessions *Sessions        // required; the same as the manager's ports
	// Audience is this Group Manager's name in tokens. Required.
	Audience string
	// Issuers are the Authorization Servers it trusts. Required.
	Issuers []ace.TrustedAS
	// Revoked says whether a token was revoked; nil: none is. Seen is told of those
	// that are presented all the same; nil: nobody is told.
	Revoked func(ace.TokenHash) bool
	Seen    func(ace.SeenToken)
	// CNonces puts client-nonces into hints and asks for them in tokens; nil: neither.
	CNonces *ace.ClientNonces
	// Exi keeps tokens that live from their arrival; nil: they are refused.
	Exi *ace.ExiTable
	// Introspector asks those Issuers about tokens that want to be asked.
	Introspector ace.Introspector
	// MayBeAlone admits that there are no Issuers yet.
	MayBeAlone bool
	// PostLimits bounds the tokens posted in clear, for each source and in all;
	// nil: 50 a second for each source with bursts of 200, 2000 in all with bursts
	// of 4000.
	PostLimits *ratelimit.Limits
	// TokenMeter counts what becomes of posted tokens; nil: nobody does.
	TokenMeter ace.RSMeter

	// AS is the Authorization Server in this process; nil: there is none.
	AS AuthServer
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
	responder
	manager  *manager.Service
	sessions *Sessions
	rs       *ace.ResourceServer
	as       *ASServer // nil: none here
	mux      *endpoint.Mux
	posts    *ratelimit.Limiter[netip.Prefix]
	refused  *ratelimit.Sampler[ace.Refusal]
	meter    ace.RSMeter
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
	limits := defaultPostLimits()
	if c.PostLimits != nil {
		limits = *c.PostLimits
	}
	if err := limits.Validate(); err != nil {
		return nil, fmt.Errorf("coap: %w", err)
	}
	s := &Server{
		responder: responder{c.Log}, manager: c.Manager, sessions: c.Sessions, meter: c.TokenMeter,
		posts:   ratelimit.New[netip.Prefix](limits, c.Clock.Now),
		refused: ratelimit.NewSampler[ace.Refusal](refusalSample, c.Clock.Now),
	}
	var err error
	s.rs, err = ace.NewResourceServer(ace.RSConfig{
		Audience: c.Audience, Issuers: c.Issuers, AllocateID: c.Sessions.AllocateID, Clock: c.Clock, Rand: c.Rand,
		Revoked: c.Revoked, Seen: c.Seen, Describe: s.describe, Dropped: c.Sessions.DropPending, MaxPending: c.MaxPending,
		CNonces: c.CNonces, Exi: c.Exi, Introspector: c.Introspector, MayBeAlone: c.MayBeAlone, Meter: c.TokenMeter,
	}, c.Manager)
	if err != nil {
		return nil, fmt.Errorf("coap: %w", err)
	}
	if c.AS != nil {
		if s.as, err = NewASServer(c.AS, c.Rand, c.Log); err != nil {
			return nil, err
		}
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
		s.as.Register(s.mux)
	}
	if c.TokenURI != "" {
		s.mux.Hints = s.hints(c)
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
	return []endpoint.RequestOpener{s.sessions, s.as.Opener()}
}

// AS is the Authorization Server's resources; nil if there is none here.
func (s *Server) AS() *ASServer { return s.as }

// Inspect says what this Group Manager makes of a token: see ace.ResourceServer.
func (s *Server) Inspect(token []byte) *ace.Inspection { return s.rs.Inspect(token) }

// SetIssuers replaces the Authorization Servers trusted from now on.
func (s *Server) SetIssuers(list []ace.TrustedAS) { s.rs.SetIssuers(list) }

// Close ends all pending associations.
func (s *Server) Close() { s.rs.Close() }
