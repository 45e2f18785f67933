package keystore

import (
	"crypto/hmac"
	"encoding/binary"
	"fmt"
)

// Anchor keeps a few bytes (at most MaxAnchor) outside the data directory, on a medium that is not rolled back with it.
// Package anchorfile has one in a file.
type Anchor interface {
	// Load returns the bytes stored last, nil if there are none.
	Load() ([]byte, error)
	// Store makes the bytes durable, replacing those before; after a failure either may be there.
	Store(b []byte) error
}

// MaxAnchor bounds what an anchor must hold, in bytes.
const MaxAnchor = 128

// AnchorState compares the store with its anchor at opening.
type AnchorState uint8

const (
	// AnchorNone: no anchor was given; nothing can be said.
	AnchorNone AnchorState = iota
	// AnchorMatches: the data is at least as new as all the anchor knows of, and of the same generation.
	AnchorMatches
	// AnchorAhead: the data is older than the anchor: it was rolled back.
	AnchorAhead
	// AnchorBehind: the anchor is older than the data: the anchor was rolled back, or its last write failed. Nothing is proven.
	AnchorBehind
	// AnchorMissing: there is no anchor yet for a store that is not new.
	AnchorMissing
	// AnchorForeign: the anchor belongs to another store, or was not written under this store's key.
	AnchorForeign
)

// String returns the state in words.
func (a AnchorState) String() string {
	switch a {
	case AnchorNone:
		return "no anchor"
	case AnchorMatches:
		return "matches"
	case AnchorAhead:
		return "data was rolled back"
	case AnchorBehind:
		return "anchor is older than the data"
	case AnchorMissing:
		return "anchor is missing"
	case AnchorForeign:
		return "anchor belongs to another store"
	}
	return "invalid"
}

// Restart says what is known at opening about the time before. What to do about it is the policy of the caller.
type Restart struct {
	// Generation counts the opens of this store. It never repeats, not even after a rollback, as far as the anchor is there.
	Generation uint64
	// Fresh: the store was made by this Open.
	Fresh bool
	// Clean: the program before closed the store, and no rollback was noticed.
	Clean bool
	// Restored: the data came from a backup, and no effect has settled that since (Tx.Settle).
	Restored bool
	// Doubtful: this opening or one before it could not prove that the data is the newest, although there was an anchor, and no effect has
	// settled that since. So a crash between the discovery and its remedy loses nothing.
	Doubtful bool
	// Anchor compares data and anchor.
	Anchor AnchorState
}

// Continuous tells whether the data is provably what the program before had made durable last (up to AnchorEvery
// commits, unless it was a clean stop). Only then may keys, sequence numbers and associations be used on.
func (r Restart) Continuous() bool { return r.Anchor == AnchorMatches && !r.Restored && !r.Doubtful }

// Restart says what was known at opening.
func (s *Store) Restart() Restart { return s.restart }

// Generation is Restart().Generation.
func (s *Store) Generation() uint64 { return s.restart.Generation }

// CleanStop is Restart().Clean.
func (s *Store) CleanStop() bool { return s.restart.Clean }

// anchorMark is what the anchor holds: format (1 byte) | identity (16) | generation (8) | commit (8) | clean (1) | HMAC (32).
type anchorMark struct {
	id         storeID
	generation uint64
	commit     uint64
	clean      bool
}

const anchorBody = 1 + 16 + 8 + 8 + 1

func (m anchorMark) marshal(k *keys) []byte {
	b := make([]byte, 0, anchorBody+32)
	b = append(b, 1)
	b = append(b, m.id[:]...)
	b = binary.BigEndian.AppendUint64(b, m.generation)
	b = binary.BigEndian.AppendUint64(b, m.commit)
	if m.clean {
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	return append(b, mac(k.anchor, b)...)
}

func parseAnchor(k *keys, b []byte) (m anchorMark, ok bool) {
	if len(b) != anchorBody+32 || b[0] != 1 || b[33] > 1 || !hmac.Equal(b[anchorBody:], mac(k.anchor, b[:anchorBody])) {
		return m, false
	}
	copy(m.id[:], b[1:])
	m.generation = binary.BigEndian.Uint64(b[17:])
	m.commit = binary.BigEndian.Uint64(b[25:])
	m.clean = b[33] == 1
	return m, true
}

// compare judges the head as read at opening.
func (m anchorMark) compare(id storeID, h head) AnchorState {
	switch {
	case m.id != id:
		return AnchorForeign
	case h.generation < m.generation || h.generation == m.generation && h.commit < m.commit:
		return AnchorAhead
	case h.generation > m.generation:
		return AnchorBehind
	case m.clean && h.commit > m.commit:
		return AnchorBehind
	}
	return AnchorMatches
}

// begin starts a generation: the head, and the first records of a new store, become durable, then the anchor.
func (s *Store) begin(batch Batch, o Options) error {
	next := s.head
	next.generation++
	s.restart.Restored = s.head.restored
	s.restart.Clean = s.head.clean
	if s.anchor != nil {
		b, err := s.anchor.Load()
		if err != nil {
			return fmt.Errorf("%w: %w", ErrAnchor, err)
		}
		switch m, ok := parseAnchor(s.keys, b); {
		case s.restart.Fresh && len(b) > 0:
			return fmt.Errorf("%w: it belongs to a store that is not here; mount its volume, or remove the anchor to begin anew", ErrAnchor)
		case ok:
			s.restart.Anchor = m.compare(s.id, s.head)
			next.generation = max(next.generation, m.generation+1)
			next.commit = max(next.commit, m.commit)
		case s.restart.Fresh:
			s.restart.Anchor = AnchorMatches
		case len(b) == 0:
			s.restart.Anchor = AnchorMissing
		default:
			s.restart.Anchor = AnchorForeign
		}
		if s.restart.Anchor != AnchorMatches {
			next.doubtful = true
			next.distrust = next.commit
		}
	}
	if next.restored || next.doubtful {
		s.restart.Clean = false
	}
	s.restart.Doubtful = next.doubtful
	s.distrust = next.distrust
	s.restart.Generation = next.generation
	next.commit++
	next.clean = false
	if err := s.applyHead(next, batch); err != nil {
		return err
	}
	if s.anchor != nil {
		return s.writeAnchor()
	}
	return nil
}

// writeAnchor tells the anchor what is durable. The caller holds the commit slot or is alone.
func (s *Store) writeAnchor() error {
	m := anchorMark{id: s.id, generation: s.head.generation, commit: s.head.commit, clean: s.head.clean}
	if err := s.anchor.Store(m.marshal(s.keys)); err != nil {
		s.anchorErr = fmt.Errorf("%w: %w", ErrAnchor, err)
		return s.anchorErr
	}
	s.anchored, s.anchorErr = s.head.commit, nil
	return nil
}

// AnchorErr returns the failure of the last write of the anchor, nil if it succeeded or there is no anchor. The store
// goes on without; a rollback may then stay unnoticed, or a later opening find the anchor behind.
func (s *Store) AnchorErr() error {
	s.slot <- struct{}{}
	defer func() { <-s.slot }()
	return s.anchorErr
}
