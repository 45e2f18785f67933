package manager

import "context"

// Pending lists the members of a group that have not shown to hold its current
// version. It is derived, never stored.
func (s *Service) Pending(_ context.Context, group string) ([]PendingMember, error) {
	var out []PendingMember
	err := s.view(func(r reader) error {
		h, err := r.group(group)
		if err != nil {
			return err
		}
		c, err := r.counters()
		if err != nil {
			return err
		}
		return r.members(h.Number, func(m *member) error {
			if m.has(h.Version) {
				return nil
			}
			cl, err := load[client](r, nameClient(m.Client))
			if err != nil {
				return err
			}
			p := s.progress.get(memberKey{h.Number, m.Number}, h.Version)
			out = append(out, PendingMember{
				Node: nodeName(m.Number), Client: cl.label(), Stage: s.stage(m, h.Version), Attempts: p.attempts,
				Reachable: m.ControlURI != "" && cl.liveAssoc(c.AssocFloor) != 0,
			})
			return nil
		})
	})
	return out, err
}

// Members lists the members of a group in the order of joining.
func (s *Service) Members(_ context.Context, group string) ([]MemberInfo, error) {
	var out []MemberInfo
	err := s.view(func(r reader) error {
		h, err := r.group(group)
		if err != nil {
			return err
		}
		return r.members(h.Number, func(m *member) error {
			cl, err := load[client](r, nameClient(m.Client))
			if err != nil {
				return err
			}
			out = append(out, m.info(cl, s.stage(m, h.Version)))
			return nil
		})
	})
	return out, err
}

// Member gives one membership; KindNotFound when there is none.
func (s *Service) Member(_ context.Context, group, node string) (out MemberInfo, err error) {
	err = s.view(func(r reader) error {
		h, err := r.group(group)
		if err != nil {
			return err
		}
		n, ok := nodeNumber(node)
		if !ok {
			return refuse(KindNotFound, "no such member")
		}
		m, err := load[member](r, nameMember(h.Number, n))
		if ignoreNotFound(err) == nil && m == nil {
			return refuse(KindNotFound, "no such member")
		}
		if err != nil {
			return err
		}
		cl, err := load[client](r, nameClient(m.Client))
		if err != nil {
			return err
		}
		out = m.info(cl, s.stage(m, h.Version))
		return nil
	})
	return out, err
}
