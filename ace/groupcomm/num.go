package groupcomm

import (
	"github.com/cohort-iot/cohort/ace/internal/wire"
	"github.com/cohort-iot/cohort/internal/cborx"
)

// MarshalNum returns a version of the keying material as a bare integer of Content-Format 60: the answer to
// GET /ace-group/GROUPNAME/num (RFC 9594, Section 4.7.1), and the request for stale Sender IDs, where it is the version the
// member has (ace-key-groupcomm-oscore, Section 11.3.1).
func MarshalNum(version uint64) []byte { return cborx.AppendUint(nil, version) }

// ParseNum reads what [MarshalNum] returns.
func ParseNum(b []byte) (uint64, error) { return wire.Uint(b) }
