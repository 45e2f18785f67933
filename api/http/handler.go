package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"path"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/internal/authserver"
	"github.com/cohort-iot/cohort/internal/manager"
	"github.com/cohort-iot/cohort/internal/trust"
)

// Groups is the domain's side of /v1/groups. *manager.Service implements it.
type Groups interface {
	CreateGroup(ctx context.Context, spec manager.GroupSpec) (manager.GroupInfo, error)
	Groups(ctx context.Context) ([]manager.GroupInfo, error)
	Group(ctx context.Context, name string) (manager.GroupInfo, error)
	DeleteGroup(ctx context.Context, name string) error
}

// GroupControl is what changes a group that is there. *manager.Service implements it.
type GroupControl interface {
	UpdateGroup(ctx context.Context, name string, change manager.GroupChange) (manager.GroupInfo, error)
	Rekey(ctx context.Context, group string, cause manager.Cause) (version uint64, err error)
	Invalidate(ctx context.Context, group string) (evicted int, err error)
}

// Members is the domain's side of a group's members. *manager.Service implements it.
type Members interface {
	Members(ctx context.Context, group string) ([]manager.MemberInfo, error)
	Member(ctx context.Context, group, node string) (manager.MemberInfo, error)
	Pending(ctx context.Context, group string) ([]manager.PendingMember, error)
	Evict(ctx context.Context, group, node string, cause manager.Cause) (version uint64, err error)
}

// Devices is the domain's side of /v1/devices. [AuthServer] implements it.
type Devices interface {
	Enrol(ctx context.Context, spec DeviceSpec) (Enrolled, error)
	Devices(ctx context.Context) ([]Device, error)
	Device(ctx context.Context, name string) (Device, error)
	Reenrol(ctx context.Context, name string, how Reenrolment) (Enrolled, error)
	Revoke(ctx context.Context, name string) (Revoked, error)
}

// Config is what a handler puts on HTTP. Health is required, and all domains of
// one role at least: a Group Manager has the first five, an Authorization Server
// the others. What is missing is answered as not being in this process.
type Config struct {
	Groups  Groups
	Control GroupControl
	Members Members
	Trusted Trusted

	Identities Identities

	Devices         Devices
	Tokens          Tokens
	ResourceServers ResourceServers

	// Inspect is what the Group Manager makes of a token; nil: it is not asked.
	Inspect func(token []byte) *ace.Inspection

	Health func(ctx context.Context) Health

	Log *slog.Logger // nil: nothing is logged
}

// server is the handler's state: none but its configuration.
type server struct{ Config }

// endpoint is one resource and method: it answers, or returns an error that is
// written as a problem.
type endpoint func(s *server, w http.ResponseWriter, r *http.Request) error

// routes of every role.
var commonRoutes = map[string]endpoint{
	"GET /v1/health":          (*server).health,
	"POST /v1/tokens/inspect": (*server).inspectToken,
}

// managerRoutes are those of a Group Manager.
var managerRoutes = map[string]endpoint{
	"GET /v1/groups":                 (*server).listGroups,
	"POST /v1/groups":                (*server).createGroup,
	"GET /v1/groups/{group}":         (*server).showGroup,
	"PATCH /v1/groups/{group}":       (*server).updateGroup,
	"DELETE /v1/groups/{group}":      (*server).deleteGroup,
	"GET /v1/groups/{group}/keys":    (*server).showKeys,
	"POST /v1/groups/{group}/rekey":  (*server).rekeyGroup,
	"GET /v1/groups/{group}/pending": (*server).listPending,

	"POST /v1/groups/{group}/keys/invalidate": (*server).invalidateKeys,

	"GET /v1/identities":                    (*server).listIdentities,
	"POST /v1/identities/{identity}/rotate": (*server).rotateIdentity,

	"GET /v1/groups/{group}/members":               (*server).listMembers,
	"GET /v1/groups/{group}/members/{node}":        (*server).showMember,
	"POST /v1/groups/{group}/members/{node}/evict": (*server).evictMember,

	"GET /v1/authorization-servers":                  (*server).listTrusted,
	"POST /v1/authorization-servers":                 (*server).addTrusted,
	"POST /v1/authorization-servers/{issuer}/rotate": (*server).rotateTrusted,
	"DELETE /v1/authorization-servers/{issuer}":      (*server).removeTrusted,
}

// authServerRoutes are those of an Authorization Server.
var authServerRoutes = map[string]endpoint{
	"GET /v1/devices":                   (*server).listDevices,
	"POST /v1/devices":                  (*server).enrolDevice,
	"GET /v1/devices/{device}":          (*server).showDevice,
	"POST /v1/devices/{device}/reenrol": (*server).reenrolDevice,
	"POST /v1/devices/{device}/revoke":  (*server).revokeDevice,

	"GET /v1/tokens":                (*server).listTokens,
	"POST /v1/tokens/{hash}/revoke": (*server).revokeToken,

	"GET /v1/resource-servers":                    (*server).listResourceServers,
	"POST /v1/resource-servers":                   (*server).enrolResourceServer,
	"POST /v1/resource-servers/{audience}/rotate": (*server).rotateResourceServer,
	"POST /v1/resource-servers/{audience}/revoke": (*server).revokeResourceServer,
}

// notHere answers for a domain of another role.
func notHere(role string) endpoint {
	return func(*server, http.ResponseWriter, *http.Request) error {
		return problem(http.StatusNotFound, "no-role", "this process is no "+role, "ask the process that has this role, by its socket")
	}
}

// routes are the resources of a configuration.
func (c *Config) routes() map[string]endpoint {
	all := maps.Clone(commonRoutes)
	for pattern, e := range managerRoutes {
		if c.Groups == nil {
			e = notHere("Group Manager")
		}
		all[pattern] = e
	}
	for pattern, e := range authServerRoutes {
		if c.Devices == nil {
			e = notHere("Authorization Server")
		}
		all[pattern] = e
	}
	return all
}

// New makes the handler. Who may call it is the business of [Serve].
func New(c Config) (http.Handler, error) {
	manages, authorizes := c.Groups != nil, c.Devices != nil
	if c.Health == nil || !manages && !authorizes ||
		manages != (c.Control != nil) || manages != (c.Members != nil) || manages != (c.Trusted != nil) || manages != (c.Identities != nil) ||
		authorizes != (c.Tokens != nil) || authorizes != (c.ResourceServers != nil) {
		return nil, errors.New("operator's channel: a domain is missing")
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	s := &server{c}
	mux := http.NewServeMux()
	routes := c.routes()
	for pattern, e := range routes {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if p, ok := PeerFrom(r.Context()); ok {
				actor := fmt.Sprintf("uid:%d", p.UID)
				r = r.WithContext(trust.WithActor(authserver.WithActor(manager.WithActor(r.Context(), actor), actor), actor))
			}
			if err := e(s, w, r); err != nil {
				s.refuse(w, r, err)
			}
		})
	}
	return strictRoutes(mux, routes), nil
}

// strictRoutes gives unknown paths and methods a problem, and refuses to
// redirect paths that are not clean.
func strictRoutes(mux *http.ServeMux, routes map[string]endpoint) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked := r.URL.EscapedPath()
		if path.Clean(asked) != asked {
			writeProblem(w, problem(http.StatusNotFound, "no-resource", "no such resource", ""))
			return
		}
		_, pattern := mux.Handler(r)
		if _, ok := routes[pattern]; ok {
			mux.ServeHTTP(w, r)
			return
		}
		allowed := false
		for _, m := range []string{"GET", "POST", "PATCH", "DELETE"} {
			other := r.Clone(r.Context())
			other.Method = m
			_, p := mux.Handler(other)
			if _, ok := routes[p]; ok {
				w.Header().Add("Allow", m)
				allowed = true
			}
		}
		if allowed {
			writeProblem(w, problem(http.StatusMethodNotAllowed, "method", r.Method+" is not possible here", ""))
			return
		}
		writeProblem(w, problem(http.StatusNotFound, "no-resource", "no such resource", ""))
	})
}

// refuse writes an error as a problem and logs what is our own fault.
func (s *server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	var p *Problem
	if !errors.As(err, &p) {
		if p = domainProblem(err); p.Status >= 500 {
			s.Log.Error("operator's request failed", "method", r.Method, "path", r.URL.Path, "error", err)
		}
	}
	writeProblem(w, p)
}
