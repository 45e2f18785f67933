package manager

import (
	"context"
	"io"
	"slices"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/keystore"
)

// GroupSpec is what a new group is made from.
type GroupSpec struct {
	Name        string // also the last path segment of its resource
	Description string // at most 255 bytes
	Active      bool   // false: nobody can join until it is activated
	Config      GroupConfig
}

const maxDescription = 255

// CreateGroup makes a group with version 0 of its keying material
// (draft-ietf-ace-key-groupcomm-oscore-21, Sections 7 and 14). Zero fields of
// the configuration take their defaults. Errors: KindMalformed (name),
// KindConfiguration, KindConflict (the name is taken).
func (s *Service) CreateGroup(ctx context.Context, spec GroupSpec) (GroupInfo, error) {
	if err := s.ready(); err != nil {
		return GroupInfo{}, err
	}
	if err := ace.CheckGroupName(spec.Name); err != nil {
		return GroupInfo{}, refuse(KindMalformed, "%v", err)
	}
	if len(spec.Description) > maxDescription {
		return GroupInfo{}, refuse(KindMalformed, "the description has more than %d bytes", maxDescription)
	}
	cfg := spec.Config.WithDefaults()
	if err := cfg.Validate(); err != nil {
		return GroupInfo{}, err
	}
	slot, err := s.currentSlot(cfg.slot())
	if err != nil {
		return GroupInfo{}, err
	}
	if err := s.ensureIdentity(ctx, slot); err != nil {
		return GroupInfo{}, err
	}
	var out GroupInfo
	err = s.update(ctx, func(t *txn) error {
		if n, err := t.indexed(groupNames, spec.Name); err != nil {
			return err
		} else if n != 0 {
			return refuse(KindConflict, "there is a group %q already", spec.Name)
		}
		c, err := t.counters()
		if err != nil {
			return err
		}
		// It may have grown meanwhile: then that key was made first.
		generation, err := t.keyGeneration(slot)
		if err != nil {
			return err
		}
		h := &head{
			Schema: recordSchema, Number: c.NextGroup, Name: spec.Name, Description: spec.Description,
			State: GroupInactive, Config: cfg, Revision: 1, GidNumber: c.NextGid, KeyGeneration: generation,
			Secret: make([]byte, masterSecretSize), Installed: t.now.Unix(), Expires: t.now.Add(cfg.KeyLifetime).Unix(),
			NextMember: 1, Created: t.now.Unix(),
		}
		h.Gid = h.gid(c.GidPrefix)
		if _, err := io.ReadFull(s.rand, h.Secret); err != nil {
			return fault(KindInternal, err, "no randomness for a Master Secret")
		}
		if spec.Active {
			if h.State, err = h.State.Next(EventActivate); err != nil {
				return err
			}
		}
		c.NextGroup++
		c.NextGid++
		if err := t.putCounters(c); err != nil {
			return err
		}
		if err := t.setIndex(groupNames, h.Name, h.Number); err != nil {
			return err
		}
		if err := t.put(nameGid(h.GidNumber), h.Number); err != nil {
			return err
		}
		t.audit(AuditEvent{Event: "group.created", Group: h.Name, Version: &h.Version, Gid: h.Gid, Detail: cfg.Modes.String()})
		out = h.info()
		return t.putHead(h)
	})
	return out, err
}

// Groups lists the groups in the order of their creation.
func (s *Service) Groups(context.Context) ([]GroupInfo, error) {
	var out []GroupInfo
	err := s.view(func(r reader) error {
		return r.heads(func(h *head) error {
			out = append(out, h.info())
			return nil
		})
	})
	return out, err
}

// heads calls f for each group.
func (r reader) heads(f func(h *head) error) error {
	return r.Scan(nameGroups(), func(n keystore.Name, b []byte) error {
		h, err := decode[head](n, b)
		if err != nil {
			return err
		}
		return f(h)
	})
}

// Group gives one group; KindNotFound when there is none.
func (s *Service) Group(_ context.Context, name string) (out GroupInfo, err error) {
	err = s.view(func(r reader) error {
		h, err := r.group(name)
		if err != nil {
			return err
		}
		out = h.info()
		return nil
	})
	return out, err
}

// SetActive activates or deactivates a group. In an inactive group nobody joins,
// renews or changes its credential, and members stop
// (draft-ietf-ace-key-groupcomm-oscore-21, Section 6.2, 9.9).
func (s *Service) SetActive(ctx context.Context, name string, active bool) error {
	return s.update(ctx, func(t *txn) error {
		h, err := t.group(name)
		if err != nil {
			return err
		}
		if err := t.setActive(h, active); err != nil {
			return err
		}
		return t.putHead(h)
	})
}

func (t *txn) setActive(h *head, active bool) (err error) {
	ev, word := EventDeactivate, "group.deactivated"
	if active {
		ev, word = EventActivate, "group.activated"
	}
	if h.State, err = h.State.Next(ev); err != nil {
		return err
	}
	h.Revision++
	name := h.Name
	t.audit(AuditEvent{Event: word, Group: name})
	t.after(func() { t.s.observers.ActiveChanged(name) })
	return nil
}

// DeleteGroup ends a group: it is gone for everybody at once, and its records go
// in steps that a restart resumes. KindActive while the group is active.
func (s *Service) DeleteGroup(ctx context.Context, name string) error {
	var number uint64
	err := s.update(ctx, func(t *txn) error {
		h, err := t.group(name)
		if err != nil {
			return err
		}
		if h.State, err = h.State.Next(EventDelete); err != nil {
			return err
		}
		h.Revision++
		h.Secret = nil
		number = h.Number
		if err := t.delete(nameGid(h.GidNumber)); err != nil {
			return err
		}
		t.audit(AuditEvent{Event: "group.deleted", Group: name, Count: int(h.Members)})
		t.after(func() { t.s.observers.Deleted(name) })
		return t.putHead(h)
	})
	if err != nil {
		return err
	}
	return s.finishDeletion(ctx, number)
}

// deletionStep is how many records one step of a deletion takes out.
const deletionStep = 8

// finishDeletion removes what belongs to a group that is being deleted: members
// with their notices owed, stale sets, then the head and the name.
func (s *Service) finishDeletion(ctx context.Context, g uint64) error {
	for {
		var more bool
		err := s.update(ctx, func(t *txn) (err error) {
			more, err = t.deletionStep(g)
			return err
		})
		if err != nil || !more {
			s.wakeDelivery()
			return err
		}
	}
}

func (t *txn) deletionStep(g uint64) (more bool, err error) {
	h, err := t.head(g)
	if err != nil {
		return false, ignoreNotFound(err)
	}
	if h.State != GroupDeleting {
		return false, nil
	}
	batch, err := t.firstMembers(g, deletionStep)
	if err != nil {
		return false, err
	}
	for _, m := range batch {
		if err := t.removeMember(h, m, CauseGroupDeleted, true); err != nil {
			return false, err
		}
	}
	if len(batch) > 0 {
		return true, t.putHead(h)
	}
	stale, err := t.firstNames(nameStaleGroup(g), 4*deletionStep)
	if err != nil {
		return false, err
	}
	for _, n := range stale {
		if err := t.delete(n); err != nil {
			return false, err
		}
	}
	if len(stale) > 0 {
		return true, nil
	}
	if h.State, err = h.State.Next(EventDeleted); err != nil {
		return false, err
	}
	if err := t.setIndex(groupNames, h.Name, 0); err != nil {
		return false, err
	}
	t.audit(AuditEvent{Event: "group.removed", Group: h.Name})
	return false, t.delete(nameGroup(g))
}

// firstMembers reads at most n members of a group.
func (r reader) firstMembers(g uint64, n int) ([]*member, error) {
	var out []*member
	err := r.members(g, func(m *member) error {
		out = append(out, m)
		if len(out) == n {
			return keystore.ErrStop
		}
		return nil
	})
	return out, err
}

// firstNames reads at most n names of records.
func (r reader) firstNames(prefix keystore.Name, n int) ([]keystore.Name, error) {
	var out []keystore.Name
	err := r.Scan(prefix, func(name keystore.Name, _ []byte) error {
		out = append(out, name)
		if len(out) == n {
			return keystore.ErrStop
		}
		return nil
	})
	return slices.Clip(out), err
}
