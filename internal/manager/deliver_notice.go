package manager

import "context"

// sendNotice tells an evicted device.
func (s *Service) sendNotice(ctx context.Context, j *job, attempts int) (done bool) {
	var n *notice
	err := s.view(func(r reader) (err error) {
		n, err = load[notice](r, nameNotice(j.group, j.member))
		return ignoreNotFound(err)
	})
	if err != nil {
		return false
	}
	if n == nil || s.opt.Delivery == nil {
		return n == nil
	}
	ref := MemberRef{Group: n.GroupName, Node: nodeName(n.Number), Association: n.Assoc, ControlURI: n.ControlURI}
	ctx, cancel := context.WithTimeout(ctx, s.timeout(attempts))
	defer cancel()
	if err := s.opt.Delivery.Evicted(ctx, ref); err != nil {
		s.log.InfoContext(ctx, "an eviction notice is not confirmed", "group", ref.Group, "node", ref.Node, "error", err)
		return false
	}
	s.settleNotice(ctx, j.memberKey, "member.notified")
	return true
}

// settleNotice takes a notice off the books.
func (s *Service) settleNotice(ctx context.Context, k memberKey, event string) {
	err := s.update(ctx, func(t *txn) error {
		n, err := load[notice](t.reader, nameNotice(k.group, k.member))
		if err != nil {
			return ignoreNotFound(err)
		}
		if _, err := MemberEvicted.Next(EventNoticed); err != nil {
			return err
		}
		t.audit(AuditEvent{Event: event, Group: n.GroupName, Node: nodeName(n.Number), Cause: n.Cause.String()})
		if err := t.delete(nameNotice(k.group, k.member)); err != nil {
			return err
		}
		cl, err := load[client](t.reader, nameClient(n.Client))
		if ignoreNotFound(err) != nil {
			return err
		}
		if cl == nil || cl.byAssoc(n.Assoc) == nil {
			return t.dropAssociation(n.Assoc) // it was kept for this notice only
		}
		return nil
	})
	if err != nil {
		s.log.WarnContext(ctx, "cannot settle an eviction notice", "error", err)
	}
}
