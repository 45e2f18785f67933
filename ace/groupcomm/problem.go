package groupcomm

import (
	"github.com/cohort-iot/cohort/ace/internal/wire"
)

// Keys of a Concise Problem Details item (RFC 9290, Section 2) and of the Custom Problem Detail ace-groupcomm-error (RFC 9594,
// Sections 4.1.2 and 11.6).
const (
	problemTitle     = -1
	problemDetail    = -2
	problemGroupcomm = 0 // ace-groupcomm-error
	errorIDKey       = 0 // error-id in it
)

// Problem is the payload of an error response that says why, of media type application/concise-problem-details+cbor
// (Content-Format 257).
type Problem struct {
	ID     ErrorID
	Detail string // for the log of whoever reads it; empty if there is nothing to add
}

// Marshal returns the payload as a map.
func (p Problem) Marshal() []byte {
	var e, w wire.Writer
	e.Int(errorIDKey, int64(p.ID))
	w.Text(problemDetail, p.Detail)
	w.Raw(problemGroupcomm, e.Encode())
	return w.Encode()
}

// ParseProblem reads the payload; ok is false if it is well-formed and has no error identifier of this registry, as the
// problems of other applications.
func ParseProblem(b []byte) (p Problem, ok bool, err error) {
	r := wire.NewReader(b)
	p.Detail, _ = r.Text(problemDetail)
	if p.Detail == "" {
		p.Detail, _ = r.Text(problemTitle)
	}
	ok = r.Has(problemGroupcomm)
	if ok {
		p.ID, _ = wire.Field(r, problemGroupcomm, func(item []byte) (ErrorID, error) {
			e := wire.NewReader(item)
			e.Require(errorIDKey)
			id, _ := e.Int(errorIDKey)
			return ErrorID(id), e.Err()
		})
	}
	if err := r.Err(); err != nil {
		return Problem{}, false, err
	}
	return p, ok, nil
}
