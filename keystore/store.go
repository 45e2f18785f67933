package keystore

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
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
	env         envelope
	keys        *keys
	dataKey     secret.Bytes
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

var headerName = internalKey("header")

// Open opens the store in b, or makes a new one if b is empty, and takes possession of b: Close closes it. After an error b is still the
// caller's. It counts a generation and makes that durable before it returns. Errors: ErrWrongKey, ErrCorrupt, ErrNewerSchema, ErrOlderSchema, ErrAnchor, ErrEmpty.
func Open(b Backend, o Options) (*Store, error) {
	if b == nil || (o.DataKey == nil) == (o.Wrapper == nil) {
		return nil, errors.New("keystore: open: give a backend, and either a data key or a wrapper")
	}
	if o.Schema == 0 {
		o.Schema = 1
	}
	if o.AnchorEvery == 0 {
		o.AnchorEvery = anchorEvery
	}
	s := newStore(b, o)
	if err := s.load(o); err != nil {
		return nil, err
	}
	if err := s.migrate(o); err != nil {
		return nil, err
	}
	return s, nil
}

func newStore(b Backend, o Options) *Store {
	if o.Rand == nil {
		o.Rand = entropy()
	}
	return &Store{
		backend: b, rand: o.Rand, onCommit: o.OnCommit, anchor: o.Anchor, anchorEvery: o.AnchorEvery,
		turn: make(chan struct{}, 1), slot: make(chan struct{}, 1), fenced: make(chan struct{}),
	}
}

// load reads or creates header, key and head, and begins a generation.
func (s *Store) load(o Options) error {
	var batch Batch
	err := s.backend.View(func(r BackendReader) error {
		raw, err := r.Get(headerName)
		if errors.Is(err, ErrNotFound) {
			if err := r.Scan("", "", func(n Name, _ []byte) error { return fmt.Errorf("%w: header is missing", ErrCorrupt) }); err != nil {
				return err
			}
			if o.Existing {
				return fmt.Errorf("%w; initialise it first, or mount its volume", ErrEmpty)
			}
			batch, err = s.create(o)
			return err
		}
		if err != nil {
			return err
		}
		return s.read(r, raw, o)
	})
	if err != nil {
		return err
	}
	return s.begin(batch, o)
}

// create makes the keys and the first records of a new store.
func (s *Store) create(o Options) (Batch, error) {
	if _, err := io.ReadFull(s.rand, s.env.id[:]); err != nil {
		return nil, fmt.Errorf("keystore: no random bytes: %w", err)
	}
	var batch Batch
	s.dataKey = o.DataKey.Clone()
	if o.Wrapper != nil {
		s.dataKey = make(secret.Bytes, DataKeySize)
		if _, err := io.ReadFull(s.rand, s.dataKey); err != nil {
			return nil, fmt.Errorf("keystore: no random bytes: %w", err)
		}
		blob, err := o.Wrapper.Wrap(s.dataKey, s.env.id[:])
		if err != nil {
			return nil, fmt.Errorf("keystore: wrap data key: %w", err)
		}
		batch = append(batch, Op{Name: wrappedName, Value: blob})
	}
	if err := s.derive(); err != nil {
		return nil, err
	}
	h := header{id: s.env.id}
	copy(h.check[:], s.keys.check)
	s.head = head{schema: o.Schema}
	s.restart.Fresh = true
	return append(batch, Op{Name: headerName, Value: h.marshal()}), nil
}

// read opens an existing store.
func (s *Store) read(r BackendReader, raw []byte, o Options) error {
	h, err := parseHeader(raw)
	if err != nil {
		return err
	}
	s.env.id = h.id
	if s.dataKey, err = unwrap(r, o, h.id); err != nil {
		return err
	}
	if err := s.derive(); err != nil {
		return err
	}
	if subtle.ConstantTimeCompare(s.keys.check, h.check[:]) != 1 {
		return fmt.Errorf("%w: give the key that this store was made with", ErrWrongKey)
	}
	sealed, err := r.Get(headName)
	if errors.Is(err, ErrNotFound) {
		return fmt.Errorf("%w: head record is missing", ErrCorrupt)
	}
	if err != nil {
		return err
	}
	s.headRaw = append([]byte(nil), sealed...)
	plain, version, err := s.env.open(headName, sealed)
	if err != nil {
		return err
	}
	if s.head, err = parseHead(plain); err != nil {
		return err
	}
	if version != s.head.commit {
		return fmt.Errorf("%w: head record has version %d in commit %d", ErrCorrupt, version, s.head.commit)
	}
	if s.head.schema > o.Schema {
		return fmt.Errorf("%w: schema %d, this one knows %d; use the newer program, or restore the backup made before the upgrade", ErrNewerSchema, s.head.schema, o.Schema)
	}
	if s.head.schema < o.Schema && o.Migrate == nil {
		return fmt.Errorf("%w: schema %d, this one needs %d", ErrOlderSchema, s.head.schema, o.Schema)
	}
	return nil
}

func (s *Store) derive() (err error) {
	s.keys, err = deriveKeys(s.dataKey, s.env.id)
	if err == nil {
		s.env.key = s.keys.seal
	}
	return err
}

// migrate runs the application's migration, if one is due.
func (s *Store) migrate(o Options) error {
	from := s.Schema()
	if from == o.Schema {
		return nil
	}
	ctx := context.Background()
	if err := o.Migrate(ctx, s, from); err != nil {
		return fmt.Errorf("keystore: migrate from schema %d to %d: %w", from, o.Schema, err)
	}
	return s.Update(ctx, func(tx *Tx) error {
		tx.schema = &o.Schema
		return nil
	})
}

// Schema returns the schema version of the records in the store.
func (s *Store) Schema() uint32 {
	s.slot <- struct{}{}
	defer func() { <-s.slot }()
	return s.head.schema
}

// ID returns the identity of the store, 16 bytes, the same in its backups.
func (s *Store) ID() []byte { return append([]byte(nil), s.env.id[:]...) }

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
	s.dataKey.Wipe()
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
