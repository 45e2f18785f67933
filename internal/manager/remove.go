package manager

import (
	"context"
	"sync"
	"time"
)

// removeMember takes a member out of its group: out of the list, its
// credential, its node, its challenge; its Sender ID becomes stale under the
// current version (RFC 9594, Section 5; draft-ietf-ace-key-groupcomm-oscore-21,
// Section 10). The caller rekeys, or notes in the head that a rekeying is due,
// and writes the head. A member that did not ask for it is owed a notice.
func (t *txn) removeMember(h *head, m *member, cause Cause, forced bool) error {
	ev := EventLeave
	if forced {
		ev = EventEvict
	}
	if _, err := MemberActive.Next(ev); err != nil {
		return err
	}
	cl, err := load[client](t.reader, nameClient(m.Client))
	if err != nil {
		return err
	}
	t.tx.Anchor() // data of before, set back, would have the member again
	sender := m.senderID()
	if err := t.setBirth(h, m, false); err != nil {
		return err
	}
	if err := t.giveUpSender(h, m); err != nil {
		return err
	}
	if err := t.delete(nameMember(h.Number, m.Number)); err != nil {
		return err
	}
	if err := t.delete(nameMemberOf(m.Client, h.Number)); err != nil {
		return err
	}
	h.Members--
	if forced {
		if err := t.oweNotice(h, m, cl, cause); err != nil {
			return err
		}
	}
	event := "member.left"
	if forced {
		event = "member.evicted"
	}
	t.audit(AuditEvent{Event: event, Group: h.Name, Node: nodeName(m.Number), Client: cl.label(), Cause: cause.String(), Sender: sender})
	g, n, name := h.Number, m.Number, h.Name
	observes := forced && m.ControlURI == ""
	t.after(func() {
		if observes {
			t.s.observers.Ended(name, nodeName(n))
		}
		t.s.progress.forget(memberKey{g, n})
		t.s.meter.Left(name, cause)
		if forced {
			t.s.wakeDelivery()
		}
	})
	return nil
}

// oweNotice notes that the device is to be told, if it can be reached.
func (t *txn) oweNotice(h *head, m *member, cl *client, cause Cause) error {
	c, err := t.counters()
	if err != nil {
		return err
	}
	assoc := cl.liveAssoc(c.AssocFloor)
	if m.ControlURI == "" || assoc == 0 {
		return nil
	}
	return t.put(nameNotice(h.Number, m.Number), &notice{
		Schema: recordSchema, Group: h.Number, Number: m.Number, Client: m.Client, ControlURI: m.ControlURI,
		Cause: cause, GroupName: h.Name, Since: t.now.Unix(), Assoc: assoc,
	})
}

// Leave ends the caller's membership on its own request and rekeys the rest, in
// one transaction, or within the windows of the group (RFC 9594, Section 4.8.3).
func (s *Service) Leave(ctx context.Context, c Caller, group, node string) error {
	if err := s.ready(); err != nil {
		return err
	}
	return s.refused(c, group, "leave", s.update(ctx, func(t *txn) error {
		a, err := t.access(c, group, t.now)
		if err != nil {
			return err
		}
		if err := a.onlyNode(node); err != nil {
			return err
		}
		if err := t.removeMember(a.head, a.member, CauseLeave, false); err != nil {
			return err
		}
		if err := t.removed(a.head, CauseLeave); err != nil {
			return err
		}
		return t.putHead(a.head)
	}))
}

// Evict ends a membership and rekeys the rest, in one transaction, or within
// the windows of the group. It returns the version after it.
func (s *Service) Evict(ctx context.Context, group, node string, cause Cause) (version uint64, err error) {
	if err := s.ready(); err != nil {
		return 0, err
	}
	n, ok := nodeNumber(node)
	if !ok {
		return 0, refuse(KindNotFound, "no such member")
	}
	err = s.update(ctx, func(t *txn) error {
		h, err := t.group(group)
		if err != nil {
			return err
		}
		m, err := load[member](t.reader, nameMember(h.Number, n))
		if ignoreNotFound(err) == nil && m == nil {
			return refuse(KindNotFound, "no such member")
		}
		if err != nil {
			return err
		}
		if err := t.removeMember(h, m, cause, true); err != nil {
			return err
		}
		if err := t.removed(h, cause); err != nil {
			return err
		}
		version = h.Version
		return t.putHead(h)
	})
	return version, err
}

// evictionStep is how many members one transaction of a large eviction takes out.
const evictionStep = 8

// EvictMany ends several memberships with one rekeying at the end, or within the
// windows of the group. It is a
// durable intent with steps: each step marks the group as due for rekeying, so
// that a crash between the steps leaves nobody who was taken out with the keys
// of what follows: Start and the sweep rekey what is due.
func (s *Service) EvictMany(ctx context.Context, group string, nodes []string, cause Cause) (evicted int, err error) {
	if err := s.ready(); err != nil {
		return 0, err
	}
	numbers := make([]uint64, 0, len(nodes))
	for _, node := range nodes {
		if n, ok := nodeNumber(node); ok {
			numbers = append(numbers, n)
		}
	}
	defer s.bulk.begin(group)()
	for len(numbers) > 0 {
		step := numbers[:min(evictionStep, len(numbers))]
		numbers = numbers[len(step):]
		n, err := s.evictStep(ctx, group, step, cause)
		evicted += n
		if err != nil {
			return evicted, err
		}
	}
	if evicted == 0 {
		return 0, nil
	}
	if _, err := s.rekeyDue(ctx, group); err != nil {
		return evicted, err
	}
	return evicted, s.dissolved(ctx, group)
}

func (s *Service) evictStep(ctx context.Context, group string, numbers []uint64, cause Cause) (evicted int, err error) {
	err = s.update(ctx, func(t *txn) error {
		evicted = 0
		h, err := t.group(group)
		if err != nil {
			return err
		}
		for _, n := range numbers {
			m, err := load[member](t.reader, nameMember(h.Number, n))
			if ignoreNotFound(err) != nil {
				return err
			}
			if m == nil {
				continue
			}
			if err := t.removeMember(h, m, cause, true); err != nil {
				return err
			}
			evicted++
		}
		if evicted == 0 {
			return nil
		}
		t.owe(h, cause)
		return t.putHead(h)
	})
	return evicted, err
}

// rekeyDue rekeys a group if that is due now, and says whether it was.
func (s *Service) rekeyDue(ctx context.Context, group string) (done bool, err error) {
	err = s.update(ctx, func(t *txn) error {
		h, err := t.group(group)
		if err != nil {
			return err
		}
		done = h.Due != CauseNone && h.State != GroupDeleting && !t.now.Before(time.UnixMilli(h.DueAt))
		if !done {
			return nil
		}
		if err := t.rekey(h, h.Due); err != nil {
			return err
		}
		return t.putHead(h)
	})
	return done, err
}

// bulkTable names the groups in which steps of a larger effect are under way:
// the sweep leaves the rekeying that is due there to whoever takes the steps.
type bulkTable struct {
	mu sync.Mutex
	m  map[string]int
}

// begin notes a group until the function it returns is called.
func (b *bulkTable) begin(group string) (end func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.m == nil {
		b.m = map[string]int{}
	}
	b.m[group]++
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.m[group]--; b.m[group] == 0 {
			delete(b.m, group)
		}
	}
}

func (b *bulkTable) busy(group string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.m[group] > 0
}
