package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path"

	"github.com/cohort-iot/cohort/internal/authserver"
	"github.com/cohort-iot/cohort/internal/manager"
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
	SetActive(ctx context.Context, name string, active bool) error
	Rekey(ctx context.Context, group string, cause manager.Cause) (version uint64, err error)
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
	Revoke(ctx context.Context, name string) (groups int, err error)
}

// Config is what a handler puts on HTTP. All but Log are required.
type Config struct {
	Groups  Groups
	Control GroupControl
	Members Members
	Devices Devices
	Health  func(ctx context.Context) Health

	Log *slog.Logger // nil: nothing is logged
}

// server is the handler's state: none but its configuration.
type server struct{ Config }

// endpoint is one resource and method: it answers, or returns an error that is
// written as a problem.
type endpoint func(s *server, w http.ResponseWriter, r *http.Request) error

var routes = map[string]endpoint{
	"GET /v1/health": (*server).health,

	"GET /v1/groups":                 (*server).listGroups,
	"POST /v1/groups":                (*server).createGroup,
	"GET /v1/groups/{group}":         (*server).showGroup,
	"PATCH /v1/groups/{group}":       (*server).updateGroup,
	"DELETE /v1/groups/{group}":      (*server).deleteGroup,
	"GET /v1/groups/{group}/keys":    (*server).showKeys,
	"POST /v1/groups/{group}/rekey":  (*server).rekeyGroup,
	"GET /v1/groups/{group}/pending": (*server).listPending,

	"GET /v1/groups/{group}/members":               (*server).listMembers,
	"GET /v1/groups/{group}/members/{node}":        (*server).showMember,
	"POST /v1/groups/{group}/members/{node}/evict": (*server).evictMember,

	"GET /v1/devices":                  (*server).listDevices,
	"POST /v1/devices":                 (*server).enrolDevice,
	"GET /v1/devices/{device}":         (*server).showDevice,
	"POST /v1/devices/{device}/revoke": (*server).revokeDevice,
}

// New makes the handler. Who may call it is the business of [Serve].
func New(c Config) (http.Handler, error) {
	if c.Groups == nil || c.Control == nil || c.Members == nil || c.Devices == nil || c.Health == nil {
		return nil, errors.New("operator's channel: a domain is missing")
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	s := &server{c}
	mux := http.NewServeMux()
	for pattern, e := range routes {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if p, ok := PeerFrom(r.Context()); ok {
				actor := fmt.Sprintf("uid:%d", p.UID)
				r = r.WithContext(authserver.WithActor(manager.WithActor(r.Context(), actor), actor))
			}
			if err := e(s, w, r); err != nil {
				s.refuse(w, r, err)
			}
		})
	}
	return strictRoutes(mux), nil
}

// strictRoutes gives unknown paths and methods a problem, and refuses to
// redirect paths that are not clean.
func strictRoutes(mux *http.ServeMux) http.Handler {
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
