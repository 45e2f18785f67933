package manager

import "fmt"

// Stage says how far the keying material of one version has come on its way to
// one member. Only StageConfirmed says that the member holds it.
//
//	Waiting ──▶ Sent ──▶ Acked ──▶ Confirmed
//	   │         │         │           ▲
//	   └─────────┴────┬────┘           │
//	                  ▼                │
//	               Fetched ────────────┘
//
// A report may skip stages; one of an earlier stage changes nothing.
//
// Sent: a rekeying message left. Acked: the transport acknowledged it, which
// proves nothing about the member. Fetched: the member asked for the material
// and the answer left. Confirmed: an OSCORE-verified message of that member
// shows it: its 2.04 answer to the rekeying message, its request for stale
// Sender IDs since that version, or any later request after it had fetched.
type Stage uint8

// The stages, in the order in which they may follow each other.
const (
	StageWaiting Stage = iota
	StageSent
	StageAcked
	StageFetched
	StageConfirmed
)

func stageTransitions(from, to Stage) bool {
	switch from {
	case StageWaiting:
		return to != StageWaiting
	case StageSent:
		return to == StageAcked || to == StageFetched || to == StageConfirmed
	case StageAcked:
		return to == StageFetched || to == StageConfirmed
	case StageFetched:
		return to == StageConfirmed
	}
	return false
}

// Advance gives the later of the two stages: a late report of an earlier stage
// changes nothing.
func (s Stage) Advance(to Stage) Stage {
	if stageTransitions(s, to) {
		return to
	}
	return s
}

// String gives the stage's name.
func (s Stage) String() string {
	switch s {
	case StageWaiting:
		return "waiting"
	case StageSent:
		return "sent"
	case StageAcked:
		return "acked"
	case StageFetched:
		return "fetched"
	case StageConfirmed:
		return "confirmed"
	}
	return fmt.Sprintf("stage(%d)", uint8(s))
}
