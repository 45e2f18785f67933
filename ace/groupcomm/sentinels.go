package groupcomm

import (
	"errors"

	"github.com/cohort-iot/cohort/ace"
)

var (
	// ErrMalformed is wrapped by the errors of every parser.
	ErrMalformed = ace.ErrMalformed
	// ErrEvidence is wrapped when a proof of possession does not verify.
	ErrEvidence = errors.New("invalid proof-of-possession evidence")
)
