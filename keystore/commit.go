package keystore

import (
	"errors"
	"fmt"
	"io"
	"slices"
)

var headName = internalKey("head")

// commit seals the pending group, chains its audit records and applies it. The caller holds the commit slot.
func (s *Store) commit() {
	s.mu.Lock()
	g := s.pending
	s.pending, s.flight = nil, g
	err := g.base.failed()
	s.mu.Unlock()
	if err == nil {
		err = s.usable()
	}
	if err == nil {
		err = s.apply(g)
	}
	s.mu.Lock()
	s.flight = nil
	g.base = nil
	g.finish(err)
	s.mu.Unlock()
}

// apply writes a group and the new head. The caller holds the commit slot.
func (s *Store) apply(g *group) error {
	next := s.head
	next.commit++
	next.clean = false
	if g.settle {
		next.restored, next.doubtful = false, false
	}
	if g.schema != nil {
		next.schema = *g.schema
	}
	batch := make(Batch, 0, len(g.changes)+len(g.audit)+1)
	add := func(n Name, value []byte) error {
		if value == nil {
			batch = append(batch, Op{Name: n})
			return nil
		}
		sealed, err := s.sealValue(n, next.commit, value)
		batch = append(batch, Op{Name: n, Value: sealed})
		return err
	}
	for n, v := range g.changes {
		if err := add(n, v); err != nil {
			return err
		}
	}
	for _, record := range g.audit {
		next.auditSeq++
		next.auditMAC = s.chain(next.auditMAC, next.auditSeq, record)
		if err := add(auditName(next.auditSeq), marshalAudit(next.auditMAC, record)); err != nil {
			return err
		}
	}
	if err := s.applyHead(next, batch); err != nil {
		return err
	}
	if s.onCommit != nil {
		s.onCommit(Commit{Number: next.commit, Effects: g.effects, Records: len(batch), Bytes: g.bytes})
	}
	if s.anchor != nil && (g.anchor || next.commit-s.anchored >= s.anchorEvery) {
		if err := s.writeAnchor(); err != nil && g.anchor {
			return s.fence(fmt.Errorf("%w: %w", ErrOutcomeUnknown, err))
		}
	}
	return nil
}

// applyHead adds the new head to the batch, applies it and, on success, makes it the current one. The caller holds the commit slot.
func (s *Store) applyHead(next head, batch Batch) error {
	sealed, err := s.sealValue(headName, next.commit, next.marshal())
	if err != nil {
		return err
	}
	batch = append(batch, Op{Name: headName, Value: sealed})
	slices.SortFunc(batch, func(a, b Op) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	err = s.backend.Apply(batch, Fence{Name: headName, Value: s.headRaw})
	switch {
	case err == nil:
		s.head, s.headRaw = next, sealed
		return nil
	case errors.Is(err, ErrFenced):
		return s.fence(fmt.Errorf("%w: %w", ErrNotApplied, err))
	case errors.Is(err, ErrNotApplied):
		return err
	default:
		return s.fence(fmt.Errorf("%w: %w", ErrOutcomeUnknown, err))
	}
}

func (s *Store) sealValue(n Name, version uint64, plain []byte) ([]byte, error) {
	var nonce [24]byte
	if _, err := io.ReadFull(s.rand, nonce[:]); err != nil {
		return nil, fmt.Errorf("%w: no random bytes: %w", ErrNotApplied, err)
	}
	return s.env().seal(n, version, nonce, plain)
}

// fence makes the store refuse everything from now on, and returns why.
func (s *Store) fence(why error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down == nil {
		s.down = why
		close(s.fenced)
	}
	return why
}
