package keystore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
)

// SeqStore keeps the sequence numbers of one sender: which numbers may have been used. Numbers are taken in blocks, so
// that one commit serves many messages (RFC 8613, Appendix B.1.1, with the stored value as the next number to use after
// a restart).
//
// At the start, High gives the first number that was certainly never used. Before a number is used, Reserve must have
// returned nil for a value above it. What an interrupted Reserve asked for may be skipped, never used twice. A record
// from before a noticed rollback or a restore is refused (ErrSequenceLost). One SeqStore per record and process: a
// second one that reserves makes the first fail.
type SeqStore struct {
	s    *Store
	name Name

	mu    sync.Mutex
	known bool
	high  uint64 // as stored, when known
}

// Sequence returns the sequence numbers kept in a record. The name must belong to one epoch of keys: when a record is
// deleted, its numbers begin again at 0.
func (s *Store) Sequence(name Name) *SeqStore { return &SeqStore{s: s, name: name} }

// High returns the first number that was never reserved, 0 for a record that does not exist.
func (q *SeqStore) High(ctx context.Context) (uint64, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	return q.load()
}

func (q *SeqStore) load() (uint64, error) {
	if q.known {
		return q.high, nil
	}
	err := q.s.viewRaw(func(r BackendReader) (err error) {
		q.high, err = q.s.readSequence(r, q.name)
		return err
	})
	q.known = err == nil
	return q.high, err
}

// Reserve makes the numbers below upTo usable for this sender; when it returns nil that is durable. ErrSequenceConflict
// when upTo is not above what is reserved already, or when somebody else has reserved since this SeqStore read the
// record. After an error no number of the new block may be used.
func (q *SeqStore) Reserve(ctx context.Context, upTo uint64) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.known {
		// Without High the caller cannot know where to begin, except in a record that does not exist yet.
		high, err := q.load()
		if err != nil {
			return err
		}
		if high != 0 {
			q.known = false
			return fmt.Errorf("%w: %v has %d, ask High before the first Reserve", ErrSequenceConflict, q.name, high)
		}
	}
	err := q.s.Update(ctx, func(tx *Tx) error {
		stored, err := tx.readSequence(q.name)
		if err != nil {
			return err
		}
		if stored != q.high {
			return fmt.Errorf("%w: %v has %d, expected %d: a second sender uses it", ErrSequenceConflict, q.name, stored, q.high)
		}
		return tx.ReserveSequence(q.name, upTo)
	})
	if err == nil {
		q.high = upTo
	}
	return err
}

// ReserveSequence reserves the numbers below upTo as part of this effect, for an epoch that is saved together with its first block.
// ErrSequenceConflict when upTo is not above what is reserved already.
func (tx *Tx) ReserveSequence(name Name, upTo uint64) error {
	stored, err := tx.readSequence(name)
	if err != nil {
		return err
	}
	if upTo <= stored {
		return fmt.Errorf("%w: %v has %d, asked for %d", ErrSequenceConflict, name, stored, upTo)
	}
	return tx.Put(name, binary.BigEndian.AppendUint64(nil, upTo))
}

// readSequence returns the stored high-water mark, a record of 8 bytes. ErrSequenceLost when it was written before the
// data is known to be complete.
func (s *Store) readSequence(r BackendReader, name Name) (uint64, error) {
	b, version, err := getVersion(r, s.env(), name)
	if errors.Is(err, ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if version <= s.distrust {
		return 0, fmt.Errorf("%w: %v", ErrSequenceLost, name)
	}
	return parseSequence(name, b)
}

func (tx *Tx) readSequence(name Name) (uint64, error) {
	v, ok := tx.own[name]
	if !ok {
		if v, ok = tx.under.get(name); ok {
			tx.peeked = true
		}
	}
	switch {
	case !ok:
		return tx.s.readSequence(tx.r, name)
	case v == nil:
		return 0, nil
	}
	return parseSequence(name, v)
}

func parseSequence(name Name, b []byte) (uint64, error) {
	if len(b) != 8 {
		return 0, fmt.Errorf("%w: %v is not a sequence record", ErrCorrupt, name)
	}
	return binary.BigEndian.Uint64(b), nil
}
