package manager

import "time"

// Every cause has a time by which it leads to a rekeying:
//
//	join                        at once, in the transaction of the join
//	leave, eviction             at once, in that of the removal, or after a window
//	token expired, revoked      with the batch of tokens that ended together
//	schedule                    before the last twentieth of the lifetime, less a jitter
//	Sender IDs used up          when the sweep finds it, not within a minute of the last
//	configuration, manager key  at once, group by group
//	restart, restore            before anything is served
//	operator                    at once
//
// A window makes many causes one rekeying. It begins with the first of them, and
// that cause's end is the deadline: later ones do not move it. Any rekeying
// meanwhile settles what is owed.

// Windows are how long a group that owes a rekeying may wait for further causes;
// the zero value makes each removal rekey at once. Members that left can read on
// for that time.
type Windows struct {
	Leave    time.Duration
	Eviction time.Duration // on the operator's demand
}

// maxWindow bounds how long a group may owe a rekeying.
const maxWindow = 10 * time.Minute

func (w Windows) of(c Cause) time.Duration {
	d := time.Duration(0)
	switch c {
	case CauseLeave:
		d = w.Leave
	case CauseEviction, CauseOperator:
		d = w.Eviction
	}
	return min(max(d, 0), maxWindow)
}

// removed rekeys a group that lost a member, or notes until when that has to be.
func (t *txn) removed(h *head, c Cause) error {
	w := t.s.opt.Windows.of(c)
	if w == 0 {
		return t.rekey(h, c)
	}
	by := t.now.Add(w).UnixMilli()
	if h.Due == CauseNone || h.DueAt > by {
		h.Due, h.DueAt = c, by
	}
	t.after(t.s.wakeSweep)
	return nil
}

// scheduleJitter spreads the rekeyings of groups that were made together: up to
// this fraction of the lifetime earlier.
const scheduleJitter = 40

// rekeyAt is when the schedule replaces the keying material: when 1/rekeyingSoon
// of the lifetime is left, less a jitter that the group and the version fix.
func (h *head) rekeyAt() time.Time {
	life := h.Config.KeyLifetime
	x := (h.Number*0x9e3779b97f4a7c15 ^ h.Version*0xbf58476d1ce4e5b9) >> 48 // 16 bits, evenly spread
	jitter := time.Duration(float64(life/scheduleJitter) * float64(x) / (1 << 16))
	return time.Unix(h.Expires, 0).Add(-life/rekeyingSoon - jitter)
}

// owedAt is when the next rekeying is to be made, and why.
func (h *head) owedAt() (time.Time, Cause) {
	at, c := h.rekeyAt(), CauseSchedule
	if h.Due != CauseNone {
		if due := time.UnixMilli(h.DueAt); due.Before(at) {
			at, c = due, h.Due
		}
	}
	return at, c
}
