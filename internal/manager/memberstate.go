package manager

import "fmt"

// MemberState is where a membership stands.
//
//	         leave                    (record removed)
//	Member ─────────────────────────▶ Gone
//	  │  ▲ rejoin (new Sender ID)      ▲
//	  │  └──┘                          │ noticed, or given up
//	  │ evict                          │
//	  └──────────▶ Evicted ────────────┘
//
// An evicted membership has left every list and every key at once; what remains
// is the notice that is owed to the device
// (draft-ietf-ace-key-groupcomm-oscore-21, Section 10).
type MemberState uint8

// The states.
const (
	MemberActive MemberState = iota + 1
	MemberEvicted
	MemberGone // never stored
)

// MemberEvent is what moves a membership.
type MemberEvent uint8

// The events.
const (
	EventRejoin MemberEvent = iota + 1
	EventLeave
	EventEvict
	EventNoticed
)

func memberTransitions(s MemberState, e MemberEvent) (MemberState, bool) {
	switch s {
	case MemberActive:
		switch e {
		case EventRejoin:
			return MemberActive, true
		case EventLeave:
			return MemberGone, true
		case EventEvict:
			return MemberEvicted, true
		}
	case MemberEvicted:
		if e == EventNoticed {
			return MemberGone, true
		}
	}
	return s, false
}

// Next gives the state after an event, or an error of kind KindConflict.
func (s MemberState) Next(e MemberEvent) (MemberState, error) {
	n, ok := memberTransitions(s, e)
	if !ok {
		return s, refuse(KindConflict, "no such step for a membership: %d after %v", e, s)
	}
	return n, nil
}

// String gives the state's name as the operator sees it.
func (s MemberState) String() string {
	switch s {
	case MemberActive:
		return "member"
	case MemberEvicted:
		return "evicted"
	case MemberGone:
		return "gone"
	}
	return fmt.Sprintf("state(%d)", uint8(s))
}
