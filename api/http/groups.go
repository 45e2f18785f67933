package httpapi

import (
	"net/http"
	"net/url"

	"github.com/cohort-iot/cohort/internal/manager"
)

func (s *server) listGroups(w http.ResponseWriter, r *http.Request) error {
	infos, err := s.Config.Groups.Groups(r.Context())
	if err != nil {
		return err
	}
	groups := make([]Group, 0, len(infos))
	for _, g := range infos {
		groups = append(groups, groupOf(g))
	}
	return writeJSON(w, http.StatusOK, groups)
}

func (s *server) createGroup(w http.ResponseWriter, r *http.Request) error {
	var spec GroupSpec
	if err := readJSON(w, r, &spec); err != nil {
		return err
	}
	d, err := spec.domain()
	if err != nil {
		return err
	}
	g, err := s.Groups.CreateGroup(r.Context(), d)
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/v1/groups/"+url.PathEscape(g.Name))
	return writeJSON(w, http.StatusCreated, groupOf(g))
}

func (s *server) showGroup(w http.ResponseWriter, r *http.Request) error {
	g, err := s.Groups.Group(r.Context(), r.PathValue("group"))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, groupOf(g))
}

func (s *server) updateGroup(w http.ResponseWriter, r *http.Request) error {
	var u GroupUpdate
	if err := readJSON(w, r, &u); err != nil {
		return err
	}
	g, err := s.Control.UpdateGroup(r.Context(), r.PathValue("group"), u.domain())
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, groupOf(g))
}

func (s *server) deleteGroup(w http.ResponseWriter, r *http.Request) error {
	if err := noBody(r); err != nil {
		return err
	}
	if err := s.Groups.DeleteGroup(r.Context(), r.PathValue("group")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *server) showKeys(w http.ResponseWriter, r *http.Request) error {
	g, err := s.Groups.Group(r.Context(), r.PathValue("group"))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, keysOf(g))
}

func (s *server) rekeyGroup(w http.ResponseWriter, r *http.Request) error {
	if err := noBody(r); err != nil {
		return err
	}
	v, err := s.Control.Rekey(r.Context(), r.PathValue("group"), manager.CauseOperator)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, Version{v})
}

// invalidateKeys is the second act after a rekeying: whoever has not shown to hold
// the newest keying material is put out.
func (s *server) invalidateKeys(w http.ResponseWriter, r *http.Request) error {
	if err := noBody(r); err != nil {
		return err
	}
	name := r.PathValue("group")
	n, err := s.Control.Invalidate(r.Context(), name)
	if err != nil {
		return err
	}
	g, err := s.Groups.Group(r.Context(), name)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, Invalidation{Evicted: n, Version: g.Version})
}
