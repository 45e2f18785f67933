package httpapi

import (
	"net/http"

	"github.com/cohort-iot/cohort/internal/manager"
)

func (s *server) listMembers(w http.ResponseWriter, r *http.Request) error {
	infos, err := s.Members.Members(r.Context(), r.PathValue("group"))
	if err != nil {
		return err
	}
	members := make([]Member, 0, len(infos))
	for _, m := range infos {
		members = append(members, memberOf(m))
	}
	return writeJSON(w, http.StatusOK, members)
}

func (s *server) showMember(w http.ResponseWriter, r *http.Request) error {
	m, err := s.Members.Member(r.Context(), r.PathValue("group"), r.PathValue("node"))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, memberOf(m))
}

func (s *server) listPending(w http.ResponseWriter, r *http.Request) error {
	infos, err := s.Members.Pending(r.Context(), r.PathValue("group"))
	if err != nil {
		return err
	}
	pending := make([]Pending, 0, len(infos))
	for _, p := range infos {
		pending = append(pending, pendingOf(p))
	}
	return writeJSON(w, http.StatusOK, pending)
}

func (s *server) evictMember(w http.ResponseWriter, r *http.Request) error {
	if err := noBody(r); err != nil {
		return err
	}
	v, err := s.Members.Evict(r.Context(), r.PathValue("group"), r.PathValue("node"), manager.CauseEviction)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, Version{v})
}
