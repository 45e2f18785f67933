package manager

import (
	"context"
	"time"

	"github.com/cohort-iot/cohort/ace/groupcomm"
)

// senderIDsPause is the least time between two rekeyings for want of Sender IDs,
// so that a member cannot drive rekeyings by asking for Sender IDs
// (RFC 9594, Sections 4.8.2 and 10.2).
const senderIDsPause = time.Minute

// NewSenderID gives a member a new Sender ID; its old one becomes stale. When a
// rekeying is due anyway, the group is rekeyed instead, the member keeps its
// Sender ID and gets the rekeying message. So does, without any rekeying, a member
// that is behind: it would use the new Sender ID under a Gid under which that was
// perhaps another's
// (RFC 9594, Section 4.8.2; draft-ietf-ace-key-groupcomm-oscore-21, Section 9.2).
func (s *Service) NewSenderID(ctx context.Context, c Caller, group, node string) (groupcomm.Renewal, error) {
	if err := s.ready(); err != nil {
		return groupcomm.Renewal{}, err
	}
	var out groupcomm.Renewal
	var rekeyed *head
	var who memberKey
	err := s.update(ctx, func(t *txn) error {
		a, err := t.access(c, group, t.now)
		if err != nil {
			return err
		}
		if err := a.onlyNode(node); err != nil {
			return err
		}
		if err := a.head.joinable(); err != nil {
			return err
		}
		if !a.member.HasSender {
			return refuse(KindRole, "a monitor has no Sender ID")
		}
		h, m := a.head, a.member
		who = memberKey{h.Number, m.Number}
		cause := h.rekeyingDue(t.now)
		if cause == CauseNone {
			cause = h.Due // within its window: soon enough
		}
		if cause != CauseNone {
			rekeyed = h
			if err := t.rekey(h, cause); err != nil {
				return err
			}
			if h.elder(m.Client) {
				return refuse(KindNotMember, "the membership began under the Gid that is given out again")
			}
			return t.putHead(h)
		}
		if !s.holds(m, h.Version) {
			rekeyed = h
			return nil
		}
		if err := t.giveUpSender(h, m); err != nil {
			return err
		}
		if err := t.takeSender(h, m); err != nil {
			return err
		}
		out.SenderID = &groupcomm.SenderIDResponse{SenderID: m.senderID()}
		t.audit(AuditEvent{Event: "member.renewed", Group: h.Name, Node: node, Client: a.client.label(), Version: &h.Version, Sender: m.senderID()})
		if err := t.putMember(m); err != nil {
			return err
		}
		return t.putHead(h)
	})
	if err != nil {
		err = s.refused(c, group, "renew", err)
		if KindOf(err) == KindNoIndividualKey {
			s.senderIDsExhausted(ctx, group)
		}
		return out, err
	}
	if rekeyed != nil {
		err = s.view(func(r reader) error {
			out.Rekey, err = r.rekeyMessage(rekeyed, nil, s.clock.Now())
			return err
		})
		s.progress.fetched(who, rekeyed.Version)
	}
	return out, err
}

// holds reports whether a member has, or was handed, a version.
func (s *Service) holds(m *member, version uint64) bool {
	k := memberKey{m.Group, m.Number}
	return m.has(version) || m.Given == version+1 || s.progress.hasFetched(k, version) || s.confirms.has(k, version)
}

// rekeyingDue says why a group is to be rekeyed now; CauseNone: not.
func (h *head) rekeyingDue(now time.Time) Cause {
	if at, c := h.owedAt(); !now.Before(at) {
		return c
	}
	return CauseNone
}

// senderIDsExhausted notes that the group needs a new Gid to have Sender IDs again.
func (s *Service) senderIDsExhausted(ctx context.Context, group string) {
	err := s.update(ctx, func(t *txn) error {
		h, err := t.group(group)
		if err != nil || h.Due != CauseNone || h.State != GroupActive {
			return err
		}
		if t.now.Sub(time.Unix(h.Installed, 0)) < senderIDsPause {
			return nil
		}
		h.Due, h.DueAt = CauseSenderIDs, 0
		t.audit(AuditEvent{Event: "group.sender-ids-exhausted", Group: h.Name, Version: &h.Version})
		t.after(s.wakeSweep)
		return t.putHead(h)
	})
	if err != nil {
		s.log.WarnContext(ctx, "cannot note that a group has no Sender IDs left", "group", group, "error", err)
	}
}
