package keystore

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/cohort-iot/cohort/internal/secret"
)

// Options of a store.
type Options struct {
	// DataKey seals the values directly, DataKeySize bytes; it is copied. Give it or Wrapper.
	DataKey secret.Bytes
	// Wrapper protects a data key that the store makes at its creation and keeps, wrapped, beside the data.
	Wrapper KeyWrapper
	// Anchor is kept outside the data and shows rollbacks; nil: rollbacks are not noticed, see Restart.
	Anchor Anchor
	// AnchorEvery is the number of commits between two writes of the anchor; 0: 64. A rollback by fewer commits within one run may
	// stay unnoticed, unless one of them asked for the anchor (Tx.Anchor).
	AnchorEvery uint64
	// Existing refuses to make a new store: ErrEmpty. A server that finds its volume not mounted should not begin anew.
	Existing bool
	// Schema is the version of the application's records, from 1; 0 means 1. A store with a higher one is refused.
	Schema uint32
	// Migrate brings the records of an older schema to Schema; Open calls it before it returns and then records the new schema. It may be
	// interrupted and run again, so its steps must be repeatable. Nil: an older store is refused.
	Migrate func(ctx context.Context, s *Store, from uint32) error
	// Rand is the source of keys and nonces; nil: crypto/rand.
	Rand io.Reader
	// OnCommit is called after each commit, in order, before the callers of Update return; it must not block or call the store.
	OnCommit func(Commit)
}

// Commit describes one commit, for metrics.
type Commit struct {
	Number  uint64 // counted over the life of the store
	Effects int    // functions passed to Update
	Records int    // records written or deleted, those of the store included
	Bytes   int    // names, values and audit records, before sealing
}

// Store is an open store. It is safe for concurrent use.
type Store struct {
	backend     Backend
	id          storeID
	keys        *keys // behind a pointer, so that fmt does not reach it through a struct that holds a Store
	rand        io.Reader
	onCommit    func(Commit)
	anchor      Anchor
	anchorEvery uint64
	restart     Restart
	distrust    uint64 // see head

	turn chan struct{} // held while a function runs
	slot chan struct{} // held while a group is committed; guards the four fields below

	head      head
	headRaw   []byte // sealed, as stored: the fence
	anchored  uint64 // commit that the anchor knows
	anchorErr error

	life sync.RWMutex // held for reading by View, for writing by Close

	mu      sync.Mutex // guards the fields below and the end of groups
	pending *group
	flight  *group
	down    error         // why the store is unusable
	fenced  chan struct{} // closed when the store fences itself
	closed  bool
}

// Schema returns the schema version of the records in the store.
func (s *Store) Schema() uint32 {
	s.slot <- struct{}{}
	defer func() { <-s.slot }()
	return s.head.schema
}

// ID returns the identity of the store, 16 bytes, the same in its backups.
func (s *Store) ID() []byte { return append([]byte(nil), s.id[:]...) }

// Done is closed when the store has fenced itself; Err then says why. The program should close the store and open it again, or end.
func (s *Store) Done() <-chan struct{} { return s.fenced }

// Err returns why the store is unusable, nil while it works: ErrClosed, ErrOutcomeUnknown or ErrFenced.
func (s *Store) Err() error { return s.usable() }

func (s *Store) usable() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	return s.down
}

// exclusive runs fn alone: no function of Update runs and no commit is under way.
func (s *Store) exclusive(ctx context.Context, fn func() error) error {
	if err := beforeRunning(ctx); err != nil {
		return err
	}
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return beforeRunning(ctx)
	}
	defer func() { <-s.turn }()
	s.slot <- struct{}{}
	defer func() { <-s.slot }()
	s.commitPending()
	if err := s.usable(); err != nil {
		return err
	}
	return fn()
}

// Close waits for the effects that were begun, writes the clean-stop marker and the anchor, and closes the backend. A fenced store
// writes nothing. A second Close does nothing.
func (s *Store) Close() error {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	s.slot <- struct{}{}
	defer func() { <-s.slot }()
	s.commitPending()
	err := s.usable()
	if errors.Is(err, ErrClosed) {
		return nil
	}
	if err == nil {
		err = s.stopCleanly()
	} else {
		err = nil // a fence was reported when it fell
	}
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.life.Lock()
	defer s.life.Unlock()
	err = errors.Join(err, s.backend.Close())
	s.keys.wipe()
	return err
}

func (s *Store) stopCleanly() error {
	next := s.head
	next.commit++
	next.clean = true
	if err := s.applyHead(next, nil); err != nil {
		return err
	}
	if s.anchor != nil {
		return s.writeAnchor()
	}
	return nil
}

// commitPending commits what is pending. The caller holds the turn, so that nothing is added, and the slot.
func (s *Store) commitPending() {
	s.mu.Lock()
	pending := s.pending != nil
	s.mu.Unlock()
	if pending {
		s.commit()
	}
}
