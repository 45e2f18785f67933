package trl

import (
	"errors"
	"fmt"
	"math"
)

// Support is what an Authorization Server offers beyond full queries. Requesters are told at their registration.
type Support struct {
	Diff   bool   // diff queries
	MaxN   int    // MAX_N: updates that are kept for each requester; with Diff at least 1
	Cursor bool   // the extension Cursor; only with Diff
	Batch  int    // MAX_DIFF_BATCH: updates in one response, with Cursor 1 to MaxN
	Index  uint64 // MAX_INDEX: the greatest index, with Cursor at least MaxN-1
}

// DefaultSupport is everything: 64 updates, of which 16 fit into a response without many blocks.
func DefaultSupport() Support {
	return Support{Diff: true, MaxN: 64, Cursor: true, Batch: 16, Index: math.MaxUint32}
}

// Validate returns all faults of s, joined.
func (s Support) Validate() error {
	var errs []error
	add := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf("trl: "+format, args...))
		}
	}
	add(s.Diff && s.MaxN < 1, "MAX_N is %d", s.MaxN)
	add(s.Cursor && !s.Diff, "the extension Cursor needs diff queries")
	add(s.Cursor && (s.Batch < 1 || s.Batch > s.MaxN), "MAX_DIFF_BATCH is %d, not 1 to MAX_N", s.Batch)
	add(s.Cursor && s.MaxN > 0 && s.Index < uint64(s.MaxN)-1, "MAX_INDEX is %d, less than MAX_N - 1", s.Index)
	return errors.Join(errs...)
}

// wrap gives the index of the n-th update, counted from 0.
func (s Support) wrap(n uint64) uint64 {
	if s.Index == math.MaxUint64 {
		return n
	}
	return n % (s.Index + 1)
}

// Collection is the series of updates of one requester (RFC 9770, Section 6.2).
type Collection struct {
	Added   uint64  // how many updates were ever added
	Entries []Entry // the latest ones that are kept, oldest first
}

// Add adds an update, and takes out the oldest one if there are more than MAX_N.
func (c *Collection) Add(s Support, e Entry) {
	c.Added++
	c.Entries = append(c.Entries, e)
	if over := len(c.Entries) - s.MaxN; over > 0 {
		c.Entries = append([]Entry(nil), c.Entries[over:]...)
	}
}

// index returns the index of Entries[i].
func (c *Collection) index(s Support, i int) uint64 {
	return s.wrap(c.Added - uint64(len(c.Entries)) + uint64(i))
}

// last returns last_index, nil for an empty collection.
func (c *Collection) last(s Support) *uint64 {
	if len(c.Entries) == 0 {
		return nil
	}
	v := c.index(s, len(c.Entries)-1)
	return &v
}

// wrapped says whether an index has been used twice.
func (c *Collection) wrapped(s Support) bool { return c.Added > 0 && c.Added-1 > s.Index }

// find returns the place of the entry of an index, -1 if there is none.
func (c *Collection) find(s Support, index uint64) int {
	for i := range c.Entries {
		if c.index(s, i) == index {
			return i
		}
	}
	return -1
}
