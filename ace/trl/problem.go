package trl

import (
	"strconv"

	"github.com/cohort-iot/cohort/ace/internal/wire"
)

// ErrorID is a value of the registry ACE Token Revocation List Errors (RFC 9770, Section 13).
type ErrorID int64

// Registered identifiers.
const (
	InvalidValue ErrorID = 0 // a parameter has an invalid value
	InvalidSet   ErrorID = 1 // cursor without diff
	OutOfBound   ErrorID = 2 // cursor beyond the last index
)

// String returns the description of the registry, or the number.
func (id ErrorID) String() string {
	switch id {
	case InvalidValue:
		return "Invalid parameter value"
	case InvalidSet:
		return "Invalid set of parameters"
	case OutOfBound:
		return "Out of bound cursor value"
	}
	return "error " + strconv.FormatInt(int64(id), 10)
}

// Problem is the payload of 4.00, of Content-Format 257 (RFC 9770, Section 6.1; RFC 9290). The Authorization Server logs Detail.
type Problem struct {
	ID     ErrorID
	Detail string // for people; empty if absent
	// WithCursor says that the field cursor is there.
	WithCursor bool
	Cursor     *uint64 // nil: null
}

// Error returns the description and the detail.
func (p *Problem) Error() string {
	if p.Detail == "" {
		return p.ID.String()
	}
	return p.ID.String() + ": " + p.Detail
}

// Marshal returns the problem details as a map.
func (p *Problem) Marshal() []byte {
	var e, w wire.Writer
	e.Int(errorID, int64(p.ID))
	if p.WithCursor {
		addCursor(&e, errorCursor, p.Cursor)
	}
	w.Text(problemTitle, p.ID.String())
	w.Text(problemDetail, p.Detail)
	w.Raw(problemTRLError, e.Encode())
	return w.Encode()
}

// ParseProblem reads problem details; ok is false if they say nothing about the list. Errors wrap [ace.ErrMalformed].
func ParseProblem(b []byte) (p *Problem, ok bool, err error) {
	r := wire.NewReader(b)
	raw := r.Raw(problemTRLError)
	p = &Problem{}
	p.Detail, _ = r.Text(problemDetail)
	if r.Err() != nil || raw == nil {
		return nil, false, r.Err()
	}
	e := wire.NewReader(raw)
	e.Require(errorID)
	id, _ := e.Int(errorID)
	p.ID, p.WithCursor, p.Cursor = ErrorID(id), e.Has(errorCursor), readCursor(e, errorCursor)
	if err := e.Err(); err != nil {
		return nil, false, err
	}
	return p, true, nil
}
