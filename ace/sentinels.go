package ace

import (
	"errors"

	"github.com/cohort-iot/cohort/ace/internal/wire"
)

var (
	// ErrMalformed is wrapped by the errors of every parser of messages in this package and in groupcomm.
	ErrMalformed = wire.ErrMalformed
	// ErrScope is wrapped when a scope is not in the format of this application (RFC 9237; ace-key-groupcomm-oscore, Section 3).
	ErrScope = errors.New("unknown scope")
	// ErrRoles is wrapped when a set of roles cannot be.
	ErrRoles = errors.New("invalid roles")
)
