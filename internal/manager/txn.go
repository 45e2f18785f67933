package manager

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cohort-iot/cohort/internal/cborx"
	"github.com/cohort-iot/cohort/keystore"
)

// reader adds typed reading to a view or a transaction.
type reader struct {
	keystore.Reader
	s    *Service
	seen *seenClient // see there; may be nil
}

// txn is one effect: its records, its audit record, and what happens after the commit.
type txn struct {
	reader
	tx     *keystore.Tx
	now    time.Time
	hooks  []func()
	events []AuditEvent
}

// layout is a record that knows the version of its layout.
type layout interface{ schema() uint8 }

// load reads a record that carries its layout version. keystore.ErrNotFound passes through.
func load[T any, P interface {
	*T
	layout
}](r reader, n keystore.Name) (*T, error) {
	b, err := r.Get(n)
	if err != nil {
		return nil, err
	}
	return decode[T, P](n, b)
}

func decode[T any, P interface {
	*T
	layout
}](n keystore.Name, b []byte) (*T, error) {
	v := new(T)
	if err := cborx.Unmarshal(b, v); err != nil {
		return nil, fmt.Errorf("record %v: %w", n, err)
	}
	return v, checkSchema(P(v).schema(), n)
}

// number reads an index record: one unsigned number.
func (r reader) number(n keystore.Name) (uint64, error) {
	b, err := r.Get(n)
	if err != nil {
		return 0, err
	}
	var v uint64
	if err := cborx.Unmarshal(b, &v); err != nil {
		return 0, fmt.Errorf("record %v: %w", n, err)
	}
	return v, nil
}

// encodeRecord is the layout of every record of this package.
func encodeRecord(v any) ([]byte, error) { return cborx.Marshal(v) }

func (t *txn) put(n keystore.Name, v any) error {
	b, err := encodeRecord(v)
	if err != nil {
		return fmt.Errorf("record %v: %w", n, err)
	}
	return t.tx.Put(n, b)
}

func (t *txn) delete(n keystore.Name) error { return t.tx.Delete(n) }

// after runs f once the effect is durable, on the caller's goroutine.
func (t *txn) after(f func()) { t.hooks = append(t.hooks, f) }

// audit adds an audit record to the effect.
func (t *txn) audit(e AuditEvent) { t.events = append(t.events, e) }

// update runs fn as one effect. Without an audit record there is no effect.
func (s *Service) update(ctx context.Context, fn func(t *txn) error) error {
	var t *txn
	err := s.store.Update(ctx, func(tx *keystore.Tx) error {
		t = &txn{reader: reader{Reader: tx, s: s}, tx: tx, now: s.clock.Now()}
		if err := fn(t); err != nil {
			return err
		}
		for _, e := range t.events {
			b, err := e.encode(t.now, ActorFrom(ctx))
			if err != nil {
				return err
			}
			if err := t.tx.Audit(b); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return s.failed(err)
	}
	for _, f := range t.hooks {
		f()
	}
	return nil
}

// view runs fn over one consistent state.
func (s *Service) view(fn func(r reader) error) error {
	if err := s.store.View(func(r keystore.Reader) error { return fn(reader{Reader: r, s: s}) }); err != nil {
		return s.failed(err)
	}
	return nil
}

// failed makes an *Error of whatever the store or a step returned.
func (s *Service) failed(err error) error {
	var e *Error
	switch {
	case errors.As(err, &e):
		return err
	case errors.Is(err, keystore.ErrOutcomeUnknown), errors.Is(err, keystore.ErrFenced), errors.Is(err, keystore.ErrClosed),
		errors.Is(err, keystore.ErrNotApplied), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fault(KindUnavailable, err, "the state store does not answer")
	}
	return fault(KindInternal, err, "")
}
