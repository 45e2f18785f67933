package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/internal/authserver"
)

// ResourceServers is the domain's side of /v1/resource-servers: the Group
// Managers in other processes that an Authorization Server issues tokens for.
// *authserver.Service implements it.
type ResourceServers interface {
	ResourceServers() ([]authserver.RS, error)
	EnrolRS(ctx context.Context, q authserver.RSRequest) (*ace.RSEnrolment, error)
	RotateRSKey(ctx context.Context, audience string, overlap time.Duration) (*ace.RSEnrolment, error)
	RevokeRS(ctx context.Context, audience, cause string) error
}

// ResourceServer is a resource server as an operator sees it.
type ResourceServer struct {
	Audience string `json:"audience"`
	URI      string `json:"uri"`
	Keys     int    `json:"keys"`
	Remote   bool   `json:"remote"` // in another process
	Revoked  bool   `json:"revoked"`
	Alarms   uint64 `json:"alarms"` // times its secret was seen in use twice
}

// ResourceServerSpec is the request to enrol a resource server.
type ResourceServerSpec struct {
	Audience string `json:"audience"` // its name in tokens
	URI      string `json:"uri"`      // where devices reach it, as coap://192.0.2.1:5683
}

// keyOverlap is how long tokens under a former key are still made known by it:
// the longest that a token lives.
const keyOverlap = 24 * time.Hour

func (s *server) listResourceServers(w http.ResponseWriter, _ *http.Request) error {
	list, err := s.ResourceServers.ResourceServers()
	if err != nil {
		return err
	}
	out := []ResourceServer{}
	for _, r := range list {
		out = append(out, ResourceServer{r.Audience, r.URI, r.Keys, r.Remote, !r.Revoked.IsZero(), r.Alarms})
	}
	return writeJSON(w, http.StatusOK, out)
}

func (s *server) enrolResourceServer(w http.ResponseWriter, r *http.Request) error {
	var spec ResourceServerSpec
	if err := readJSON(w, r, &spec); err != nil {
		return err
	}
	e, err := s.ResourceServers.EnrolRS(r.Context(), authserver.RSRequest{Audience: spec.Audience, URI: spec.URI})
	return writeRSEnrolment(w, e, err)
}

func (s *server) rotateResourceServer(w http.ResponseWriter, r *http.Request) error {
	if err := noBody(r); err != nil {
		return err
	}
	e, err := s.ResourceServers.RotateRSKey(r.Context(), r.PathValue("audience"), keyOverlap)
	return writeRSEnrolment(w, e, err)
}

func (s *server) revokeResourceServer(w http.ResponseWriter, r *http.Request) error {
	if err := noBody(r); err != nil {
		return err
	}
	list, err := s.ResourceServers.ResourceServers()
	if err != nil {
		return err
	}
	for _, rs := range list {
		if rs.Audience == r.PathValue("audience") && !rs.Remote {
			return problem(http.StatusConflict, "own", fmt.Sprintf("%q is the Group Manager of this process", rs.Audience), "to run without it set role to as")
		}
	}
	if err := s.ResourceServers.RevokeRS(r.Context(), r.PathValue("audience"), causeRevoke); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// writeRSEnrolment writes the enrolment, secrets included, once.
func writeRSEnrolment(w http.ResponseWriter, e *ace.RSEnrolment, err error) error {
	if err != nil {
		return err
	}
	file, err := e.Marshal()
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	return writeJSON(w, http.StatusOK, EnrolmentFile(file))
}
