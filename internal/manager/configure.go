package manager

import (
	"context"
	"strings"
	"time"
)

// GroupChange says what is to change of a group; what is nil or zero stays.
type GroupChange struct {
	// Revision, if not 0, is that of the group which the change was made from: at
	// any other one it is refused with KindConflict.
	Revision    uint64
	Active      *bool
	Description *string
	// Edit changes a copy of the configuration; zero fields of the result take
	// their defaults. nil: the configuration stays.
	Edit func(c *GroupConfig)
}

// UpdateGroup changes a group that is there: its state, its description and its
// configuration, algorithms included (draft-ietf-ace-oscore-gm-admin-17,
// Sections 6.7 and 10.1). Modes and GidReuse are fixed when a group is created
// (KindConfiguration).
//
// What concerns the Group Manager only, or what members ask for (policies,
// lifetime, windows, bounds), takes effect at once, in one transaction. A change
// of an algorithm or of the credential format is an intent with steps, which a
// restart resumes: it is noted; members whose credential or Sender ID does not fit
// are evicted, and told; then one transaction puts the configuration in force and
// rekeys the group, so that each version has one configuration. Nobody joins in
// between (KindUnavailable). The rekeying message carries the algorithms.
func (s *Service) UpdateGroup(ctx context.Context, name string, ch GroupChange) (GroupInfo, error) {
	if err := s.ready(); err != nil {
		return GroupInfo{}, err
	}
	if ch.Description != nil && len(*ch.Description) > maxDescription {
		return GroupInfo{}, refuse(KindMalformed, "the description has more than %d bytes", maxDescription)
	}
	var out GroupInfo
	var number uint64
	err := s.update(ctx, func(t *txn) error {
		h, err := t.group(name)
		if err != nil {
			return err
		}
		if h.State == GroupDeleting {
			return refuse(KindNotFound, "no such group")
		}
		if ch.Revision != 0 && ch.Revision != h.Revision {
			return refuse(KindConflict, "the group was changed meanwhile: it has revision %d, not %d", h.Revision, ch.Revision)
		}
		number = h.Number
		if err := t.change(h, ch); err != nil {
			return err
		}
		out = h.info()
		return t.putHead(h)
	})
	if err != nil || !out.Changing {
		return out, err
	}
	if err := s.finishConfiguration(ctx, name, number); err != nil {
		return out, err
	}
	return s.Group(ctx, name)
}

// change makes what of a change takes effect at once, and notes the rest in the head.
func (t *txn) change(h *head, ch GroupChange) error {
	before := *h
	if ch.Active != nil {
		if err := t.setActive(h, *ch.Active); err != nil {
			return err
		}
	}
	var changed []string
	if ch.Description != nil && *ch.Description != h.Description {
		h.Description = *ch.Description
		changed = append(changed, "description")
	}
	if ch.Edit != nil {
		next, err := h.edited(ch.Edit)
		if err != nil {
			return err
		}
		changed = append(changed, differences(h.Config.WithDefaults(), next)...)
		if next.algorithmsOf() == h.Config.algorithmsOf() {
			t.reconfigure(h, next)
		} else {
			h.Next = &next
		}
	}
	if len(changed) > 0 {
		h.Revision = before.Revision + 1
		t.audit(AuditEvent{Event: "group.changed", Group: h.Name, Detail: strings.Join(changed, ", ")})
		t.after(t.s.wakeSweep)
	}
	return nil
}

// edited makes the configuration that a group is to have, and checks that it may.
func (h *head) edited(edit func(c *GroupConfig)) (GroupConfig, error) {
	if h.Next != nil {
		return GroupConfig{}, refuse(KindConflict, "another change of the group's configuration is under way")
	}
	now := h.Config.WithDefaults()
	next := now
	edit(&next)
	if next.KeyLifetime != now.KeyLifetime { // what was derived from the old one is derived anew
		was := Schedule{}.withDefaults(now.KeyLifetime)
		if next.Schedule.Margin == was.Margin {
			next.Schedule.Margin = 0
		}
		if next.Schedule.Jitter == was.Jitter {
			next.Schedule.Jitter = 0
		}
	}
	next = next.WithDefaults()
	switch {
	case next.Modes != now.Modes:
		return next, refuse(KindConfiguration, "the modes of a group are fixed when it is created: make another group")
	case next.GidReuse != now.GidReuse || next.GidEpochs != now.GidEpochs:
		return next, refuse(KindConfiguration, "whether Gids are given out again is fixed when a group is created: make another group")
	}
	return next, next.Validate()
}

// reconfigure puts a configuration in force that has the algorithms of the one
// before. The material in use ends no later than it was told to members, and
// earlier if its lifetime is shorter now.
func (t *txn) reconfigure(h *head, next GroupConfig) {
	if end := time.Unix(h.Installed, 0).Add(next.KeyLifetime).Unix(); end < h.Expires {
		h.Expires = end
	}
	h.Config = next
	h.trimStale()
}

// finishConfiguration takes the steps that a noted change of algorithms still
// needs: the caller of UpdateGroup, a start and the sweep call it, perhaps at the
// same time. It puts in force only the change for which it took the steps; who
// noted another one meanwhile takes the steps of that.
func (s *Service) finishConfiguration(ctx context.Context, group string, g uint64) error {
	defer s.bulk.begin(group)()
	var h *head
	var unfit []uint64
	err := s.view(func(r reader) (err error) {
		unfit = nil
		if h, err = r.head(g); err != nil || h.Next == nil {
			return err
		}
		return r.members(g, func(m *member) error {
			if !h.Next.fits(m) {
				unfit = append(unfit, m.Number)
			}
			return nil
		})
	})
	if err != nil || h.Next == nil || h.State == GroupDeleting {
		return ignoreNotFound(err)
	}
	slot, err := s.currentSlot(h.Next.slot())
	if err != nil {
		return err
	}
	if err := s.ensureIdentity(ctx, slot); err != nil { // is there before anybody needs it
		return err
	}
	want, since := *h.Next, h.Configured
	for len(unfit) > 0 {
		step := unfit[:min(evictionStep, len(unfit))]
		unfit = unfit[len(step):]
		if _, err := s.evictStep(ctx, group, step, CauseConfiguration); err != nil {
			return err
		}
	}
	err = s.update(ctx, func(t *txn) error {
		h, err := t.head(g)
		if err != nil || h.Next == nil || h.State == GroupDeleting {
			return ignoreNotFound(err)
		}
		if *h.Next != want || h.Configured != since {
			return nil
		}
		t.reconfigure(h, want)
		h.Next = nil
		h.Revision++
		if err := t.rekey(h, CauseConfiguration); err != nil {
			return err
		}
		h.Configured = h.Version
		t.audit(AuditEvent{Event: "group.configured", Group: h.Name, Version: &h.Version, Count: int(h.Members), Detail: h.Config.algorithmsOf().String()})
		return t.putHead(h)
	})
	if err != nil {
		return err
	}
	return s.dissolved(ctx, group)
}

// fits says whether a member can stay under a configuration: its Sender ID is not
// too long (draft-ietf-ace-oscore-gm-admin-17, Section 6.6.2), and the credential
// it proved to have the key of can be used.
func (c GroupConfig) fits(m *member) bool {
	if !m.HasSender {
		return true
	}
	if m.Sender >= c.senderIDs() {
		return false
	}
	_, err := c.eligible(m.Credential)
	return err == nil
}
