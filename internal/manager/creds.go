package manager

import (
	"context"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/ace/groupcomm"
)

// peers lists the members that a filter asks for, without one of them, in the
// order of joining. Monitors have no credential and do not appear.
func (r reader) peers(g, without uint64, f groupcomm.CredsFilter) (groupcomm.Peers, error) {
	out := groupcomm.Peers{}
	err := r.members(g, func(m *member) error {
		if m.Number != without && m.Credential != nil && f.Match(m.senderID(), m.Roles) {
			out = append(out, m.peer())
		}
		return nil
	})
	return out, err
}

func (m *member) peer() groupcomm.Peer {
	return groupcomm.Peer{Credential: m.Credential, Roles: m.Roles, SenderID: m.senderID()}
}

// peersByID looks the listed members up one by one, so that a question about
// one member does not cost a walk over all.
func (r reader) peersByID(g uint64, ids [][]byte) (groupcomm.Peers, error) {
	out := groupcomm.Peers{}
	seen := map[string]bool{}
	for _, id := range ids {
		s, ok := senderIDNumber(id)
		if !ok || seen[string(id)] {
			continue
		}
		seen[string(id)] = true
		n, err := r.number(nameSender(g, s))
		if ignoreNotFound(err) != nil {
			return nil, err
		}
		if err != nil {
			continue
		}
		m, err := load[member](r, nameMember(g, n))
		if err != nil {
			return nil, err
		}
		out = append(out, m.peer())
	}
	return out, nil
}

// Credentials gives members' authentication credentials with their roles and
// Sender IDs; payload is that of a FETCH, or nil for a GET, which gives all
// (RFC 9594, Section 4.4). Members and signature verifiers may ask. found is
// false when a FETCH selected nobody.
func (s *Service) Credentials(_ context.Context, c Caller, group string, payload []byte) (out *groupcomm.CredsResponse, found bool, err error) {
	err = s.serve(c, group, func(r reader, a *access) error {
		if a.member == nil && !a.roles.Has(ace.RoleVerifier) {
			return refuse(KindForbidden, "only members and signature verifiers may see credentials")
		}
		var f groupcomm.CredsFilter
		if payload != nil {
			q, err := groupcomm.ParseCredsRequest(payload)
			if err != nil {
				return fault(KindMalformed, err, "the request cannot be read")
			}
			f = q.Filter
		}
		out = &groupcomm.CredsResponse{Version: a.head.Version}
		if f.Select && f.Include && len(f.Roles) == 0 {
			out.Peers, err = r.peersByID(a.head.Number, f.IDs)
		} else {
			out.Peers, err = r.peers(a.head.Number, 0, f)
		}
		if err != nil {
			return err
		}
		found = payload == nil || len(out.Peers) > 0
		s.shows(a)
		return nil
	})
	return out, found, err
}
