package trl

import (
	"strconv"
	"strings"
)

// Query is what a requester asks for: everything, or what changed.
type Query struct {
	Diff       bool
	N          uint64 // at most so many updates; 0: as many as there are
	WithCursor bool   // with Diff
	Cursor     uint64 // only the updates after the one of this index
}

// Strings returns the query as Uri-Query options.
func (q Query) Strings() []string {
	var s []string
	if q.Diff {
		s = append(s, paramDiff+"="+strconv.FormatUint(q.N, 10))
		if q.WithCursor {
			s = append(s, paramCursor+"="+strconv.FormatUint(q.Cursor, 10))
		}
	}
	return s
}

// given is one parameter as it came.
type given struct {
	there  bool
	valid  bool // an integer, not negative
	value  uint64
	exceed bool // beyond 64 bits
}

// param looks for a parameter among Uri-Query options. One that is given twice is not valid.
func param(options []string, name string) (g given) {
	for _, o := range options {
		key, value, _ := strings.Cut(o, "=")
		if key != name {
			continue
		}
		if g.there {
			g.valid = false
			return g
		}
		g.there = true
		g.valid = value != "" && strings.Trim(value, "0123456789") == ""
		if g.valid {
			v, err := strconv.ParseUint(value, 10, 64)
			g.value, g.exceed = v, err != nil // the greatest value, if it is out of range
		}
	}
	return g
}
