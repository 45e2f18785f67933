package httpapi

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/internal/trust"
)

// Trusted is the domain's side of /v1/authorization-servers: whose tokens the
// Group Manager takes, beside those of an Authorization Server in its own
// process. *trust.Service implements it.
type Trusted interface {
	ASs() ([]trust.AS, error)
	Add(ctx context.Context, e *ace.RSEnrolment) error
	Rotate(ctx context.Context, e *ace.RSEnrolment) error
	Remove(ctx context.Context, issuer string) error
}

// TrustedAS is an Authorization Server as an operator sees it.
type TrustedAS struct {
	Issuer  string    `json:"issuer"`
	Keys    int       `json:"keys"`          // that open or verify its tokens
	URI     string    `json:"uri,omitempty"` // where it is asked; empty: it is not
	Follows bool      `json:"follows_revocations"`
	Added   time.Time `json:"added"`
}

func (s *server) listTrusted(w http.ResponseWriter, _ *http.Request) error {
	list, err := s.Trusted.ASs()
	if err != nil {
		return err
	}
	out := []TrustedAS{}
	for _, a := range list {
		out = append(out, TrustedAS{Issuer: a.Issuer, Keys: a.Keys, URI: a.URI, Follows: a.Follows, Added: a.Added})
	}
	return writeJSON(w, http.StatusOK, out)
}

func (s *server) addTrusted(w http.ResponseWriter, r *http.Request) error {
	e, err := readRSEnrolment(w, r)
	if err != nil {
		return err
	}
	if err := s.Trusted.Add(r.Context(), e); err != nil {
		return err
	}
	return s.showTrusted(w, e.Issuer)
}

func (s *server) rotateTrusted(w http.ResponseWriter, r *http.Request) error {
	e, err := readRSEnrolment(w, r)
	if err != nil {
		return err
	}
	if e.Issuer != r.PathValue("issuer") {
		return problem(http.StatusBadRequest, "malformed", "the enrolment is of another Authorization Server", "name the one it is of")
	}
	if err := s.Trusted.Rotate(r.Context(), e); err != nil {
		return err
	}
	return s.showTrusted(w, e.Issuer)
}

func (s *server) removeTrusted(w http.ResponseWriter, r *http.Request) error {
	if err := noBody(r); err != nil {
		return err
	}
	if err := s.Trusted.Remove(r.Context(), r.PathValue("issuer")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *server) showTrusted(w http.ResponseWriter, issuer string) error {
	list, err := s.Trusted.ASs()
	if err != nil {
		return err
	}
	for _, a := range list {
		if a.Issuer == issuer {
			return writeJSON(w, http.StatusOK, TrustedAS{Issuer: a.Issuer, Keys: a.Keys, URI: a.URI, Follows: a.Follows, Added: a.Added})
		}
	}
	return trust.ErrNotFound
}

// readRSEnrolment reads the file that an Authorization Server made for this
// Group Manager. It holds secrets, so its faults are told without its content.
func readRSEnrolment(w http.ResponseWriter, r *http.Request) (*ace.RSEnrolment, error) {
	var f EnrolmentFile
	if err := readJSON(w, r, &f); err != nil {
		return nil, err
	}
	e, err := ace.ParseRSEnrolment(f)
	if err != nil {
		return nil, problem(http.StatusBadRequest, "malformed", "not the enrolment of a resource server: "+strings.ReplaceAll(err.Error(), "\n", "; "),
			"the Authorization Server makes it with groupmanager rs enroll")
	}
	return e, nil
}

// trustProblem maps the errors of package trust; nil for others.
func trustProblem(err error) *Problem {
	switch {
	case errors.Is(err, trust.ErrNotFound):
		return problem(http.StatusNotFound, "not-found", err.Error(), "as list shows whose tokens are taken")
	case errors.Is(err, trust.ErrExists):
		return problem(http.StatusConflict, "exists", err.Error(), "as rotate takes new keys of one that is there; another server needs a name of its own: issuer in its configuration")
	case errors.Is(err, trust.ErrInvalid):
		return problem(http.StatusBadRequest, "malformed", plain(err, trust.ErrInvalid), "")
	}
	return nil
}
