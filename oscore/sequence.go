package oscore

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// MaxSequence is the largest Sender Sequence Number, 2^40 - 1 (RFC 8613,
// Section 7.2.1).
const MaxSequence uint64 = coapmsg.MaxSequence

// SequenceStore keeps the high-water mark of one Sequence.
type SequenceStore interface {
	// Reserve makes it durable, before it returns nil, that every number below
	// upTo may be used by this context now, and none of them ever after a
	// restart. upTo never falls from call to call.
	Reserve(ctx context.Context, upTo uint64) error
}

// Sequence gives out Sender Sequence Numbers, each one once (RFC 8613,
// Sections 7.2 and 7.2.1). Numbers come from a block that was reserved in
// durable storage before; this is the scheme of Appendix B.1.1 with the mark
// stored ahead instead of a safety margin added after. It is safe for
// concurrent use. One context has one Sequence of its own.
type Sequence struct {
	next  atomic.Uint64 // the number to give out next
	high  atomic.Uint64 // numbers below are reserved
	limit atomic.Uint64 // the largest number allowed
	block atomic.Uint64 // size of the last block

	reserving sync.Mutex // one Reserve at a time; never held by Next
}

// NewSequence returns a sequence whose first number will be next: 0 for a new
// context, after a restart the stored high-water mark. No number is reserved
// yet.
func NewSequence(next uint64) *Sequence {
	s := new(Sequence)
	s.next.Store(next)
	s.high.Store(next)
	s.limit.Store(MaxSequence)
	return s
}

// NewEphemeralSequence returns a sequence from 0 that needs no reservation. It
// is only for contexts whose keys cannot be derived again after the process
// ends, such as those of Appendix B.2: elsewhere it would repeat nonces.
func NewEphemeralSequence() *Sequence {
	s := NewSequence(0)
	s.high.Store(MaxSequence + 1)
	return s
}

// SetLimit lowers the largest number to give out, for an algorithm that
// allows less than MaxSequence or to provoke an early rekeying. It never
// raises it.
func (s *Sequence) SetLimit(last uint64) {
	for {
		cur := s.limit.Load()
		if last >= cur || s.limit.CompareAndSwap(cur, last) {
			return
		}
	}
}

// Next takes a number. It returns ErrSequenceExhausted beyond the limit and
// ErrSequenceNotReserved if the reserved block is used up; neither spends a
// number.
func (s *Sequence) Next() (uint64, error) {
	for {
		n := s.next.Load()
		if n > s.limit.Load() {
			return 0, ErrSequenceExhausted
		}
		if n >= s.high.Load() {
			return 0, ErrSequenceNotReserved
		}
		if s.next.CompareAndSwap(n, n+1) {
			return n, nil
		}
	}
}

// Reserve reserves block more numbers in st and then makes them usable. It
// waits for the store, so it belongs on the goroutine of the sequence's owner;
// Next goes on meanwhile. If the store fails nothing becomes usable, and the
// next call asks for the same mark. ErrSequenceExhausted is returned if there
// is nothing left to reserve.
func (s *Sequence) Reserve(ctx context.Context, st SequenceStore, block uint64) error {
	s.reserving.Lock()
	defer s.reserving.Unlock()
	high, end := s.high.Load(), s.limit.Load()+1
	if high >= end {
		return ErrSequenceExhausted
	}
	if block == 0 {
		return fmt.Errorf("%w: empty block", ErrParams)
	}
	upTo := high + min(block, end-high)
	if err := st.Reserve(ctx, upTo); err != nil {
		return fmt.Errorf("reserve sequence numbers: %w", err)
	}
	s.block.Store(upTo - high)
	s.high.Store(upTo)
	return nil
}

// NeedsReserve reports whether less than half of the last block is left and
// there is more to reserve.
func (s *Sequence) NeedsReserve() bool {
	next, high := s.next.Load(), s.high.Load()
	if high > s.limit.Load() {
		return false
	}
	return high-min(next, high) < s.block.Load()/2+1
}

// Exhausted reports whether all numbers are spent.
func (s *Sequence) Exhausted() bool { return s.next.Load() > s.limit.Load() }

// Remaining is how many numbers are left until the limit, reserved or not: a
// new context should be agreed on before it is 0 (RFC 8613, Section 7.2.1).
func (s *Sequence) Remaining() uint64 {
	next, end := s.next.Load(), s.limit.Load()+1
	return end - min(next, end)
}
