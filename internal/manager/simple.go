package manager

import (
	"bytes"
	"context"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/ace/groupcomm"
)

// Num gives a member the current version of the keying material (RFC 9594, Section 4.7).
func (s *Service) Num(_ context.Context, c Caller, group string) (version uint64, err error) {
	err = s.serve(c, group, func(_ reader, a *access) error {
		if err := a.onlyMember(); err != nil {
			return err
		}
		version = a.head.Version
		s.shows(a)
		return nil
	})
	return version, err
}

// Policies gives a member the group's policies (RFC 9594, Section 4.6).
func (s *Service) Policies(_ context.Context, c Caller, group string) (p groupcomm.Policies, err error) {
	err = s.serve(c, group, func(_ reader, a *access) error {
		if err := a.onlyMember(); err != nil {
			return err
		}
		p = a.head.Config.policies()
		s.shows(a)
		return nil
	})
	return p, err
}

// Active tells a member whether the group is active
// (draft-ietf-ace-key-groupcomm-oscore-21, Section 9.9).
func (s *Service) Active(_ context.Context, c Caller, group string) (active bool, err error) {
	err = s.serve(c, group, func(_ reader, a *access) error {
		if err := a.onlyMember(); err != nil {
			return err
		}
		active = a.head.State == GroupActive
		s.shows(a)
		return nil
	})
	return active, err
}

// Gids tells which groups have the given Gids now; Gids of old versions and of
// nobody are left out. Every holder of a valid token may ask
// (RFC 9594, Section 4.2.1).
func (s *Service) Gids(_ context.Context, c Caller, payload []byte) (*groupcomm.GidsResponse, error) {
	if err := s.ready(); err != nil {
		return nil, err
	}
	out := &groupcomm.GidsResponse{}
	err := s.view(func(r reader) error {
		if _, _, err := r.caller(c, s.clock.Now()); err != nil {
			return err
		}
		q, err := groupcomm.ParseGidsRequest(payload)
		if err != nil {
			return fault(KindMalformed, err, "the request cannot be read")
		}
		cs, err := r.counters()
		if err != nil {
			return err
		}
		for _, gid := range q.Gids {
			h, err := r.headByGid(cs, gid)
			if err != nil {
				return err
			}
			if h != nil {
				out.Groups = append(out.Groups, groupcomm.GidGroup{Gid: gid, Name: h.Name, URI: "/" + RootPath + "/" + h.Name})
			}
		}
		return nil
	})
	if err != nil {
		return nil, s.refused(c, "", "look up Gids", err)
	}
	return out, nil
}

func (r reader) headByGid(c *counters, gid []byte) (*head, error) {
	h, err := r.headOfGid(c, gid)
	if h == nil || err != nil || !bytes.Equal(h.Gid, gid) || h.State == GroupDeleting {
		return nil, err
	}
	return h, nil
}

// GroupsOf lists the groups that the caller's token names and that exist, in the
// order of the token's scope.
func (s *Service) GroupsOf(_ context.Context, c Caller) ([]string, error) {
	if err := s.ready(); err != nil {
		return nil, err
	}
	var out []string
	err := s.view(func(r reader) error {
		_, tok, err := r.caller(c, s.clock.Now())
		if err != nil {
			return err
		}
		scope, err := ace.ParseScope(tok.Scope)
		if err != nil {
			return err
		}
		for _, e := range scope.Users() {
			h, err := r.group(e.Group)
			if err != nil && KindOf(err) != KindNotFound {
				return err
			}
			if err == nil && h.State != GroupDeleting {
				out = append(out, e.Group)
			}
		}
		return nil
	})
	return out, err
}
