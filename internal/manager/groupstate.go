package manager

import "fmt"

// GroupState is where a group stands.
//
//	           activate
//	Inactive ───────────▶ Active
//	   │     ◀───────────
//	   │      deactivate
//	   │ delete
//	   ▼
//	Deleting ───────────▶ (record removed)
//	           deleted
//
// Only an inactive group is deleted
// (draft-ietf-ace-oscore-gm-admin-17, Section 6.3.7). Deleting is durable: the
// members' records go in several transactions, and a restart resumes there.
type GroupState uint8

// The states.
const (
	GroupInactive GroupState = iota + 1
	GroupActive
	GroupDeleting
	GroupGone // never stored
)

// GroupEvent is what moves a group.
type GroupEvent uint8

// The events.
const (
	EventActivate GroupEvent = iota + 1
	EventDeactivate
	EventDelete
	EventDeleted
)

// groupTransitions is the whole machine; what is not in it is illegal.
func groupTransitions(s GroupState, e GroupEvent) (GroupState, bool) {
	switch s {
	case GroupInactive:
		switch e {
		case EventActivate:
			return GroupActive, true
		case EventDelete:
			return GroupDeleting, true
		}
	case GroupActive:
		if e == EventDeactivate {
			return GroupInactive, true
		}
	case GroupDeleting:
		if e == EventDeleted {
			return GroupGone, true
		}
	}
	return s, false
}

// Next gives the state after an event, or an error of kind KindConflict
// (KindActive for the deletion of an active group).
func (s GroupState) Next(e GroupEvent) (GroupState, error) {
	n, ok := groupTransitions(s, e)
	if ok {
		return n, nil
	}
	if s == GroupActive && e == EventDelete {
		return s, refuse(KindActive, "only an inactive group can be deleted")
	}
	return s, refuse(KindConflict, "a group that is %v cannot %v", s, e)
}

// String gives the state's name as the operator sees it.
func (s GroupState) String() string {
	switch s {
	case GroupInactive:
		return "inactive"
	case GroupActive:
		return "active"
	case GroupDeleting:
		return "deleting"
	case GroupGone:
		return "gone"
	}
	return fmt.Sprintf("state(%d)", uint8(s))
}

// String gives the event as a verb.
func (e GroupEvent) String() string {
	switch e {
	case EventActivate:
		return "activate"
	case EventDeactivate:
		return "deactivate"
	case EventDelete:
		return "be deleted"
	case EventDeleted:
		return "finish deletion"
	}
	return fmt.Sprintf("event(%d)", uint8(e))
}
