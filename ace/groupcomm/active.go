package groupcomm

import (
	"github.com/cohort-iot/cohort/ace/internal/wire"
	"github.com/cohort-iot/cohort/internal/cborx"
)

// MarshalActive returns whether a group is active, as a bare boolean of Content-Format 60: the answer to
// GET /ace-group/GROUPNAME/active (ace-key-groupcomm-oscore, Section 8.2.1).
func MarshalActive(active bool) []byte { return cborx.AppendBool(nil, active) }

// ParseActive reads what [MarshalActive] returns.
func ParseActive(b []byte) (bool, error) { return wire.Bool(b) }
