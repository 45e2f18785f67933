package keystore

import (
	"context"
	"errors"
	"fmt"
	"runtime"
)

// View runs fn over one consistent state of what is durable. fn must not call View or Update of the same store.
func (s *Store) View(fn func(r Reader) error) error {
	return s.viewRaw(func(r BackendReader) error { return fn(view{s, r}) })
}

func (s *Store) viewRaw(fn func(r BackendReader) error) error {
	s.life.RLock()
	defer s.life.RUnlock()
	if err := s.usable(); err != nil {
		return err
	}
	return s.backend.View(fn)
}

type view struct {
	s *Store
	r BackendReader
}

func (v view) Get(n Name) ([]byte, error) { return getSealed(v.r, v.s.env(), n) }

func (v view) Scan(prefix Name, fn func(Name, []byte) error) error {
	return v.ScanAfter(prefix, "", fn)
}

func (v view) ScanAfter(prefix, after Name, fn func(Name, []byte) error) error {
	if err := checkPrefix(prefix); err != nil {
		return err
	}
	err := v.r.Scan(prefix, after, func(n Name, sealed []byte) error {
		if n.internal() {
			return nil
		}
		value, _, err := v.s.env().open(n, sealed)
		if err != nil {
			return err
		}
		return fn(n, value)
	})
	if errors.Is(err, ErrStop) {
		return nil
	}
	return err
}

// Update runs fn exactly once, after all functions before it, and makes its effect durable before it returns nil; see the package
// comment for the order of effects and for the errors. A context that ends before fn runs gives its error; afterwards Update waits
// for the disk regardless, as the effect can no longer be taken back. A panic of fn leaves nothing and goes on to the caller.
func (s *Store) Update(ctx context.Context, fn func(tx *Tx) error) error {
	return s.update(ctx, MaxEffectRecords, fn)
}

func (s *Store) update(ctx context.Context, limit int, fn func(tx *Tx) error) error {
	g, err := s.run(ctx, limit, fn)
	if g == nil {
		return err
	}
	if werr := s.wait(g); werr != nil {
		return werr
	}
	return err
}

// run executes fn in its turn. It returns the group that must be durable before Update may answer, nil if there is none: the group
// that fn's effect went into, or, when fn wrote nothing or failed, the one whose effects it has seen.
func (s *Store) run(ctx context.Context, limit int, fn func(tx *Tx) error) (*group, error) {
	if err := beforeRunning(ctx); err != nil {
		return nil, err
	}
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, beforeRunning(ctx)
	}
	defer func() { <-s.turn }()
	if err := s.usable(); err != nil {
		return nil, err
	}
	pending, flight, err := s.room()
	if err != nil {
		return nil, err
	}
	tx := &Tx{s: s, own: make(overlay), limit: limit}
	seen := flight
	if flight != nil {
		tx.under = layers{flight.changes}
	}
	if pending != nil {
		tx.under = append(layers{pending.changes}, tx.under...)
		seen = pending
	}
	err = s.backend.View(func(r BackendReader) error {
		tx.r = r
		if err := fn(tx); err != nil {
			return err
		}
		return tx.err
	})
	tx.r = closedReader{}
	if err != nil || tx.empty() {
		if tx.peeked {
			return seen, err
		}
		return nil, err
	}
	return s.merge(tx, pending, flight)
}

// room returns the groups that are not durable, after it has made room in the pending one.
func (s *Store) room() (pending, flight *group, err error) {
	for {
		s.mu.Lock()
		pending, flight = s.pending, s.flight
		s.mu.Unlock()
		if pending == nil || !pending.full() {
			return pending, flight, nil
		}
		if err := s.wait(pending); err != nil {
			return nil, nil, err
		}
	}
}

// merge adds the effect to the pending group. What the function has seen must not have failed meanwhile.
func (s *Store) merge(tx *Tx, seen ...*group) (*group, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range seen {
		if err := g.failed(); err != nil {
			return nil, err
		}
	}
	if s.pending == nil {
		s.pending = newGroup(s.flight)
	}
	s.pending.merge(tx)
	return s.pending, nil
}

// wait returns when the group is final. Whoever finds the commit slot free commits the pending group for all. Before, those
// have a turn who have something to do: on a busy machine they bring effects that share the commit, on an idle one there is
// nobody and nothing is waited for.
func (s *Store) wait(g *group) error {
	for {
		select {
		case <-g.done:
			return g.err
		case s.slot <- struct{}{}:
			if s.isPending(g) {
				runtime.Gosched()
				s.commit()
			}
			<-s.slot
		}
	}
}

func (s *Store) isPending(g *group) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pending == g
}

// closedReader answers a Tx that is used after its function returned.
type closedReader struct{}

func (closedReader) Get(n Name) ([]byte, error) {
	return nil, fmt.Errorf("%w: transaction is over", ErrClosed)
}

func (closedReader) Scan(Name, Name, func(Name, []byte) error) error {
	return fmt.Errorf("%w: transaction is over", ErrClosed)
}
