package manager

import (
	"context"
	"errors"
	"fmt"

	"github.com/cohort-iot/cohort/keystore"
)

// currentSlot completes a slot with the generation in use.
func (s *Service) currentSlot(slot keySlot) (keySlot, error) {
	err := s.view(func(r reader) (err error) {
		slot.Generation, err = r.keyGeneration(slot)
		return err
	})
	return slot, err
}

func (r reader) keyGeneration(slot keySlot) (uint64, error) {
	g, err := r.number(nameManagerKeyGeneration(slot))
	return g, ignoreNotFound(err)
}

// RotateIdentity gives the Group Manager a new key pair for one kind of groups:
// same algorithm, curve and credential format. name is that of an [IdentityInfo].
// The credential goes into what members authenticate
// (draft-ietf-core-oscore-groupcomm-28, Section 3.4), so every group of that kind
// is rekeyed onto it; until its turn a group keeps the old one. The generation in
// use is the intent: a start, the sweep and every other rekeying complete it.
// Members get the new credential at kdc-cred. It returns how many groups were
// rekeyed.
func (s *Service) RotateIdentity(ctx context.Context, name string) (rekeyed int, err error) {
	if err := s.ready(); err != nil {
		return 0, err
	}
	kind, err := s.slotNamed(ctx, name)
	if err != nil {
		return 0, err
	}
	slot, err := s.currentSlot(kind)
	if err != nil {
		return 0, err
	}
	old := slot.Generation
	slot.Generation++
	if err := s.ensureIdentity(ctx, slot); err != nil {
		return 0, err
	}
	err = s.update(ctx, func(t *txn) error {
		g, err := t.keyGeneration(slot)
		if err != nil {
			return err
		}
		if g != old {
			return refuse(KindConflict, "the key was rotated meanwhile")
		}
		t.tx.Anchor()
		t.audit(AuditEvent{Event: "manager.key-rotated", Detail: slot.String()})
		return t.put(nameManagerKeyGeneration(slot), slot.Generation)
	})
	if err != nil {
		return 0, err
	}
	if rekeyed, err = s.adoptKeys(ctx); err != nil {
		return rekeyed, err
	}
	return rekeyed, s.forgetKeys(ctx, map[keySlot]bool{slot: true})
}

// adoptKeys rekeys the groups that do not use the newest key of the Group Manager
// yet, and forgets keys that no group uses any more. A group that cannot be rekeyed
// holds up no other one.
func (s *Service) adoptKeys(ctx context.Context) (rekeyed int, err error) {
	var behind []*head
	used := map[keySlot]bool{}
	err = s.view(func(r reader) error {
		return r.heads(func(h *head) error {
			if h.State == GroupDeleting {
				return nil
			}
			g, err := r.keyGeneration(h.Config.slot())
			if err != nil {
				return err
			}
			if h.KeyGeneration < g {
				behind = append(behind, h)
			}
			now := h.slot()
			now.Generation = g
			used[now] = true
			return nil
		})
	})
	if err != nil {
		return 0, err
	}
	var faults []error
	for _, h := range behind {
		slot, err := s.currentSlot(h.Config.slot())
		if err == nil {
			err = s.ensureIdentity(ctx, slot) // is there before anybody needs it
		}
		if err == nil {
			_, err = s.Rekey(ctx, h.Name, CauseManagerKey)
		}
		switch {
		case err == nil:
			rekeyed++
		case KindOf(err) != KindNotFound:
			faults = append(faults, err)
			for u := range used { // the group still needs an older generation
				if u.name() == h.Config.slot().name() {
					delete(used, u)
				}
			}
		}
	}
	if len(behind) == 0 {
		return 0, nil
	}
	return rekeyed, errors.Join(append(faults, s.forgetKeys(ctx, used))...)
}

// forgetKeys deletes older generations of keys that are in use.
func (s *Service) forgetKeys(ctx context.Context, used map[keySlot]bool) error {
	return s.update(ctx, func(t *txn) error {
		for slot := range used {
			for slot.Generation > 0 {
				slot.Generation--
				if _, err := t.Get(nameManagerKey(slot)); errors.Is(err, keystore.ErrNotFound) {
					break
				}
				t.audit(AuditEvent{Event: "manager.key-forgotten", Detail: slot.String()})
				if err := t.delete(nameManagerKey(slot)); err != nil {
					return fmt.Errorf("forget a key: %w", err)
				}
				gone := slot
				t.after(func() { s.keys.drop(gone) })
			}
		}
		return nil
	})
}

func (c *keyCache) drop(slot keySlot) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.keys, slot)
}
