package keystore

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/cohort-iot/cohort/internal/secret"
)

var headerName = internalKey("header")

// Open opens the store in b, or makes a new one if b is empty, and takes possession of b: Close closes it. After an
// error b is still the caller's. It counts a generation and makes that durable before it returns. Errors: ErrWrongKey,
// ErrCorrupt, ErrNewerSchema, ErrOlderSchema, ErrAnchor, ErrEmpty.
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
	if _, err := io.ReadFull(s.rand, s.id[:]); err != nil {
		return nil, fmt.Errorf("keystore: no random bytes: %w", err)
	}
	var batch Batch
	dataKey := o.DataKey.Clone()
	if o.Wrapper != nil {
		dataKey = make(secret.Bytes, DataKeySize)
		if _, err := io.ReadFull(s.rand, dataKey); err != nil {
			return nil, fmt.Errorf("keystore: no random bytes: %w", err)
		}
		blob, err := o.Wrapper.Wrap(dataKey, s.id[:])
		if err != nil {
			return nil, fmt.Errorf("keystore: wrap data key: %w", err)
		}
		batch = append(batch, Op{Name: wrappedName, Value: blob})
	}
	var err error
	if s.keys, err = deriveKeys(dataKey, s.id); err != nil {
		return nil, err
	}
	h := header{id: s.id}
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
	blob, err := r.Get(wrappedName)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	if err := s.unlock(h, blob, o); err != nil {
		return err
	}
	sealed, err := r.Get(headName)
	if errors.Is(err, ErrNotFound) {
		return fmt.Errorf("%w: head record is missing", ErrCorrupt)
	}
	if err != nil {
		return err
	}
	s.headRaw = append([]byte(nil), sealed...)
	plain, version, err := s.env().open(headName, sealed)
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
