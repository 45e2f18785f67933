package trl

import (
	"fmt"

	"github.com/cohort-iot/cohort/ace"
)

// Source is what one requester may see of the list.
type Source interface {
	// Full returns the hashes of all revoked tokens of the requester.
	Full() ([]ace.TokenHash, error)
	// Collection returns its latest updates.
	Collection() (*Collection, error)
}

// Answer answers a GET with the given Uri-Query options (RFC 9770, Sections 6.3 to 9). An error that is a [*Problem] is the payload
// of 4.00; every other is of src. Parameters it does not know are ignored.
func Answer(s Support, options []string, src Source) (*Response, error) {
	diff, cursor := given{}, given{}
	if s.Diff {
		diff = param(options, paramDiff)
	}
	if s.Cursor {
		cursor = param(options, paramCursor)
	}
	if diff.there && !diff.valid {
		return nil, &Problem{ID: InvalidValue, Detail: "diff is neither 0 nor a positive integer"}
	}
	if cursor.there && !diff.there {
		return nil, &Problem{ID: InvalidSet, Detail: "cursor without diff"}
	}
	if !diff.there {
		return full(s, src)
	}
	c, err := src.Collection()
	if err != nil {
		return nil, err
	}
	if cursor.there {
		if err := checkCursor(s, c, cursor); err != nil {
			return nil, err
		}
	}
	return c.answer(s, diff.value, cursor), nil
}

func full(s Support, src Source) (*Response, error) {
	hashes, err := src.Full()
	if err != nil {
		return nil, err
	}
	p := &Response{Full: append([]ace.TokenHash{}, hashes...)}
	if s.Cursor {
		c, err := src.Collection()
		if err != nil {
			return nil, err
		}
		p.WithCursor, p.Cursor = true, c.last(s)
	}
	return p, nil
}

func checkCursor(s Support, c *Collection, g given) error {
	last := c.last(s)
	switch {
	case !g.valid || g.exceed || g.value > s.Index:
		return &Problem{ID: InvalidValue, Detail: fmt.Sprintf("cursor is no integer from 0 to %d", s.Index), WithCursor: true, Cursor: last}
	case last != nil && !c.wrapped(s) && g.value > *last:
		return &Problem{ID: OutOfBound, Detail: "cursor is beyond the last index"}
	}
	return nil
}

// answer makes the response to a diff query for at most n updates, 0 for all, after the one the cursor names.
func (c *Collection) answer(s Support, n uint64, cursor given) *Response {
	after := 0 // place of the first entry of interest
	if s.Cursor && cursor.there && len(c.Entries) > 0 {
		if after = c.find(s, cursor.value) + 1; after == 0 {
			if after = c.find(s, s.wrap(cursor.value+1)); after < 0 {
				// The one that should follow is lost: everything has to be asked for.
				return &Response{Diff: []Entry{}, WithCursor: true, More: true}
			}
		}
	}
	rest := c.Entries[after:]
	if n == 0 || n > uint64(s.MaxN) {
		n = uint64(s.MaxN)
	}
	if n < uint64(len(rest)) {
		rest = rest[uint64(len(rest))-n:] // the latest n
	}
	p := &Response{Diff: []Entry{}}
	send := rest
	if s.Cursor {
		p.WithCursor, p.Cursor = true, c.last(s)
		if p.More = len(rest) > s.Batch; p.More {
			send = rest[:s.Batch] // the oldest of them first
			at := c.index(s, len(c.Entries)-len(rest)+len(send)-1)
			p.Cursor = &at
		}
	}
	for i := len(send) - 1; i >= 0; i-- {
		p.Diff = append(p.Diff, send[i])
	}
	return p
}
