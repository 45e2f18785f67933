package keystore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
)

// Tx is one effect under construction, given to the function passed to Update. It is valid until that function returns, and not safe
// for concurrent use.
type Tx struct {
	s       *Store
	r       BackendReader
	own     overlay
	under   layers // effects before this one that are not durable yet
	audit   [][]byte
	bytes   int
	scanned int
	peeked  bool // read something of under
	schema  *uint32
	anchor  bool
	settle  bool
	limit   int   // records
	err     error // sticky
}

var _ Reader = (*Tx)(nil)

// Get implements Reader: it sees this effect and all effects before it.
func (tx *Tx) Get(n Name) ([]byte, error) {
	if v, ok := tx.own[n]; ok {
		return fromOverlay(n, v)
	}
	if v, ok := tx.under.get(n); ok {
		tx.peeked = true
		return fromOverlay(n, v)
	}
	return getSealed(tx.r, tx.s.env(), n)
}

func fromOverlay(n Name, v []byte) ([]byte, error) {
	if v == nil {
		return nil, missing(n)
	}
	return bytes.Clone(v), nil
}

// Scan implements Reader. ErrTooLarge when the function visits more than MaxScanInUpdate records in all.
func (tx *Tx) Scan(prefix Name, fn func(n Name, value []byte) error) error {
	return tx.ScanAfter(prefix, "", fn)
}

// ScanAfter implements Reader. The scan sees the effect as it was when the scan began, and values as they are when it comes to them.
func (tx *Tx) ScanAfter(prefix, after Name, fn func(n Name, value []byte) error) error {
	if err := checkPrefix(prefix); err != nil {
		return err
	}
	all := append(layers{tx.own}, tx.under...)
	changed := all.names(prefix, after)
	visit := func(n Name, value []byte) error {
		if tx.scanned++; tx.scanned > MaxScanInUpdate {
			return tx.fail(fmt.Errorf("%w: scan visits more than %d records", ErrTooLarge, MaxScanInUpdate))
		}
		return fn(n, value)
	}
	overlaid := func(n Name) error {
		if _, ok := tx.own[n]; !ok {
			tx.peeked = true
		}
		if v, _ := all.get(n); v != nil {
			return visit(n, bytes.Clone(v))
		}
		return nil
	}
	err := tx.r.Scan(prefix, after, func(n Name, sealed []byte) error {
		for len(changed) > 0 && changed[0] < n {
			if err := overlaid(changed[0]); err != nil {
				return err
			}
			changed = changed[1:]
		}
		if len(changed) > 0 && changed[0] == n {
			changed = changed[1:]
			return overlaid(n)
		}
		if n.internal() {
			return nil
		}
		v, _, err := tx.s.env().open(n, sealed)
		if err != nil {
			return err
		}
		return visit(n, v)
	})
	for ; err == nil && len(changed) > 0; changed = changed[1:] {
		err = overlaid(changed[0])
	}
	if errors.Is(err, ErrStop) {
		return nil
	}
	return err
}

// Put writes a record. The value is copied; it may be empty. ErrName, ErrTooLarge.
func (tx *Tx) Put(n Name, value []byte) error {
	if len(value) > MaxValue {
		return tx.fail(fmt.Errorf("%w: %v has %d bytes, at most %d", ErrTooLarge, n, len(value), MaxValue))
	}
	return tx.set(n, append(make([]byte, 0, len(value)), value...))
}

// Delete removes a record; it need not exist.
func (tx *Tx) Delete(n Name) error { return tx.set(n, nil) }

func (tx *Tx) set(n Name, value []byte) error {
	if tx.err != nil {
		return tx.err
	}
	if err := n.check(); err != nil {
		return tx.fail(err)
	}
	return tx.put(n, value)
}

func (tx *Tx) put(n Name, value []byte) error {
	if old, ok := tx.own[n]; ok {
		tx.bytes -= len(n) + len(old)
	}
	tx.own[n] = value
	tx.bytes += len(n) + len(value)
	return tx.within()
}

// Audit appends a record to the audit log as part of this effect. The bytes are copied. ErrTooLarge.
func (tx *Tx) Audit(record []byte) error {
	if tx.err != nil {
		return tx.err
	}
	if len(record) > MaxValue {
		return tx.fail(fmt.Errorf("%w: audit record has %d bytes, at most %d", ErrTooLarge, len(record), MaxValue))
	}
	tx.audit = append(tx.audit, bytes.Clone(record))
	tx.bytes += len(record)
	return tx.within()
}

// Anchor demands that the anchor knows this effect before Update returns, so that no rollback past it can stay unnoticed. It costs
// one more write; without it the anchor follows at a distance. No effect when the store has no anchor.
func (tx *Tx) Anchor() { tx.anchor = true }

// Settle says that this effect remedies what Restart reported: Restored and Doubtful are false from the next opening on.
// It belongs into the effect that completes the remedy (groups rekeyed, associations dropped). It implies Anchor.
func (tx *Tx) Settle() { tx.settle, tx.anchor = true, true }

func (tx *Tx) within() error {
	if n := len(tx.own) + len(tx.audit); n > tx.limit {
		return tx.fail(fmt.Errorf("%w: more than %d records", ErrTooLarge, tx.limit))
	}
	if tx.bytes > MaxEffectBytes {
		return tx.fail(fmt.Errorf("%w: more than %d bytes", ErrTooLarge, MaxEffectBytes))
	}
	return nil
}

func (tx *Tx) fail(err error) error {
	if tx.err == nil {
		tx.err = err
	}
	return tx.err
}

func (tx *Tx) empty() bool {
	return len(tx.own) == 0 && len(tx.audit) == 0 && tx.schema == nil && !tx.anchor
}

func getSealed(r BackendReader, env envelope, n Name) ([]byte, error) {
	v, _, err := getVersion(r, env, n)
	return v, err
}

// getVersion returns the value and the commit that wrote it.
func getVersion(r BackendReader, env envelope, n Name) ([]byte, uint64, error) {
	if err := n.check(); err != nil {
		return nil, 0, err
	}
	sealed, err := r.Get(n)
	if err != nil {
		if errors.Is(err, ErrNotFound) {
			return nil, 0, missing(n)
		}
		return nil, 0, err
	}
	return env.open(n, sealed)
}

// checkPrefix refuses prefixes that end in the middle of a kind or a number.
func checkPrefix(prefix Name) error {
	if prefix == "" {
		return nil
	}
	return prefix.check()
}

// beforeRunning is the only point at which a context ends an effect.
func beforeRunning(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("keystore: update not begun: %w", err)
	}
	return nil
}
