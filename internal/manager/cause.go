package manager

import "fmt"

// Cause says why a group was rekeyed or a membership ended.
type Cause uint8

// The causes.
const (
	CauseNone Cause = iota
	CauseJoin
	CauseLeave
	CauseEviction
	CauseTokenExpired
	CauseTokenRevoked
	CauseSchedule
	CauseSenderIDs
	CauseConfiguration
	CauseManagerKey
	CauseRestart
	CauseRestore
	CauseOperator
	CauseGroupDeleted
	CauseElder       // joined under the Gid that was given out again
	CauseInvalidated // was without the keying material when that before was invalidated
	causeCount
)

var causeNames = [causeCount]string{
	"none", "join", "leave", "eviction", "token-expired", "token-revoked", "schedule",
	"sender-ids", "configuration", "manager-key", "restart", "restore", "operator", "group-deleted", "elder", "invalidated",
}

// String gives the cause's name, as in audit records and metrics.
func (c Cause) String() string {
	if c >= causeCount {
		return fmt.Sprintf("cause(%d)", uint8(c))
	}
	return causeNames[c]
}

// Causes lists every cause.
func Causes() []Cause {
	out := make([]Cause, 0, causeCount)
	for c := Cause(0); c < causeCount; c++ {
		out = append(out, c)
	}
	return out
}
