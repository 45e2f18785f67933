package manager

import (
	"context"
	"fmt"
	"io"
	"math"
)

// masterSecretSize is the size of the Master Secrets made here, in bytes: that of
// the largest key of the algorithms in use. No Master Salt is made: a random
// Master Secret of full strength needs none, and its absence means the empty one
// (draft-ietf-ace-key-groupcomm-oscore-21, Section 6.3).
const masterSecretSize = 32

// rekey replaces the keying material of a group: Gid, Master Secret, version.
// It changes the head and two small records, however many members there are;
// the caller has taken out those who must not read on and writes the head.
//
// The order is that of RFC 9594, Section 6 and
// draft-ietf-ace-key-groupcomm-oscore-21, Section 7: the set of stale Sender
// IDs of the version that ends is closed, the oldest sets are dropped, the
// version grows, and only after the commit anything is handed to anybody.
func (t *txn) rekey(h *head, cause Cause) error {
	if h.Version >= math.MaxInt64 {
		return refuse(KindExhausted, "the group has used up its versions; it must end")
	}
	c, err := t.counters()
	if err != nil {
		return err
	}
	fresh := make([]byte, masterSecretSize)
	if _, err := io.ReadFull(t.s.rand, fresh); err != nil {
		return fault(KindInternal, err, "no randomness for a Master Secret")
	}
	nextGid := t.nextGidNumber
	if h.Config.GidReuse {
		nextGid = t.nextEpoch
	}
	if err := nextGid(h, c); err != nil {
		return err
	}
	h.Gid = h.gid(c.GidPrefix)
	if h.KeyGeneration, err = t.keyGeneration(h.Config.slot()); err != nil {
		return err
	}
	// Data that is set back to before this must be noticed: it holds keys that
	// members who left know.
	t.tx.Anchor()
	h.Secret, h.Salt = fresh, nil
	h.Version++
	h.trimStale()
	h.Installed = t.now.Unix()
	h.Expires = t.now.Add(h.Config.KeyLifetime).Unix()
	h.LastCause, h.Due, h.DueAt = cause, CauseNone, 0
	t.audit(AuditEvent{Event: "group.rekeyed", Group: h.Name, Cause: cause.String(), Version: &h.Version, Gid: h.Gid})
	name, version := h.Name, h.Version
	t.after(func() {
		t.s.meter.Rekeyed(name, cause, version)
		t.s.observers.Rekeyed(name)
		t.s.wakeDelivery()
	})
	return nil
}

// Invalidate is the second act after a forced rotation by Rekey: it evicts every
// member that has not shown to hold the current version, and was not handed it
// since, so that nobody goes on with what was rotated away. It returns how many;
// the rest is rekeyed once more.
func (s *Service) Invalidate(ctx context.Context, group string) (evicted int, err error) {
	var nodes []string
	err = s.view(func(r reader) error {
		h, err := r.group(group)
		if err != nil {
			return err
		}
		return r.members(h.Number, func(m *member) error {
			if !s.holds(m, h.Version) {
				nodes = append(nodes, nodeName(m.Number))
			}
			return nil
		})
	})
	if err != nil || len(nodes) == 0 {
		return 0, err
	}
	return s.EvictMany(ctx, group, nodes, CauseInvalidated)
}

// trimStale drops the oldest sets until at most MaxStaleSets exist, that of the
// current version included.
func (h *head) trimStale() {
	if keep := uint64(h.Config.MaxStaleSets); h.staleSets() > keep {
		h.OldestStale = h.Version - keep + 1
	}
}

// Rekey replaces the keying material of a group on the operator's demand and
// returns the new version.
func (s *Service) Rekey(ctx context.Context, group string, cause Cause) (version uint64, err error) {
	err = s.update(ctx, func(t *txn) error {
		h, err := t.group(group)
		if err != nil {
			return err
		}
		if h.State == GroupDeleting {
			return refuse(KindNotFound, "no such group")
		}
		if err := t.rekey(h, cause); err != nil {
			return err
		}
		version = h.Version
		return t.putHead(h)
	})
	if err != nil {
		return 0, fmt.Errorf("rekey %q: %w", group, err)
	}
	return version, nil
}
