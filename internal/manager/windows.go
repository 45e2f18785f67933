package manager

import "time"

// Every cause has a time by which it leads to a rekeying:
//
//	join                        at once, in the transaction of the join
//	leave, eviction             at once, in that of the removal, or after a window
//	token expired               with the batch of tokens that ended together, or after a window
//	token revoked               at once, with those that were revoked together
//	schedule                    Schedule.Margin before the end of the lifetime, less a jitter
//	Sender IDs used up          when the sweep finds it, not within a minute of the last
//	configuration, manager key  at once, group by group
//	restart, restore            before anything is served
//	operator, invalidated       at once
//
// What a group owes is in its head: nothing, a rekeying by a time, or a change of
// its configuration that ends with one.
//
//	            a cause with a window,             its time has come, a start,
//	            a step of a large eviction         any other rekeying
//	Settled ────────────────────────────▶ Due ───────────────────────────▶ Settled
//	   │                                                                      ▲
//	   ├──────────────────────────────────────────────────────────────────────┤
//	   │        a cause without a window: in its own transaction              │
//	   │                                                                      │
//	   └────────────────────────────▶ Changing ───────────────────────────────┘
//	            another algorithm                  those who do not fit are out
//
// A window makes many causes one rekeying. It begins with the first of them, and
// that cause's end is the deadline: later ones do not move it, except to an
// earlier time. Any rekeying meanwhile settles what is owed.

// Windows are how long a group that owes a rekeying may wait for further causes;
// the zero value makes each removal rekey at once. Members that left can read on
// for that time. Each is at most 10 min.
type Windows struct {
	Leave    time.Duration `cbor:"1,keyasint,omitempty"` // a member left by itself
	Eviction time.Duration `cbor:"2,keyasint,omitempty"` // the operator put a member out
	Expiry   time.Duration `cbor:"3,keyasint,omitempty"` // the token of a member expired
}

// maxWindow bounds how long a group may owe a rekeying.
const maxWindow = 10 * time.Minute

func (w Windows) check(bad func(format string, args ...any)) {
	for _, d := range []time.Duration{w.Leave, w.Eviction, w.Expiry} {
		if d < 0 || d > maxWindow {
			bad("a window is 0 to %v, not %v: for that time members that left can read on", maxWindow, d)
		}
	}
}

func (w Windows) of(c Cause) time.Duration {
	d := time.Duration(0)
	switch c {
	case CauseLeave:
		d = w.Leave
	case CauseEviction:
		d = w.Eviction
	case CauseTokenExpired:
		d = w.Expiry
	}
	return min(max(d, 0), maxWindow)
}

// removed rekeys a group that lost a member, or notes until when that has to be.
func (t *txn) removed(h *head, c Cause) error {
	if h.Config.Windows.of(c) == 0 {
		return t.rekey(h, c)
	}
	t.owe(h, c)
	return nil
}

// owe notes that a group is to be rekeyed, by the end of the window of the cause.
func (t *txn) owe(h *head, c Cause) {
	by := int64(0)
	if w := h.Config.Windows.of(c); w > 0 {
		by = t.now.Add(w).UnixMilli()
	}
	if h.Due == CauseNone || h.DueAt > by {
		h.Due, h.DueAt = c, by
	}
	t.after(t.s.wakeSweep)
}

// Schedule says when before its end the keying material of a group is replaced.
type Schedule struct {
	// Margin is how long before its end the material is replaced; within it, a member
	// that asks for a new Sender ID gets new material. Default 1/20 of the lifetime,
	// at most half of it.
	Margin time.Duration `cbor:"1,keyasint,omitempty"`
	// Jitter spreads the rekeyings of groups that were made together: each version of
	// each group is replaced up to this much earlier. Default 1/40 of the lifetime,
	// at most a quarter of it; negative: none.
	Jitter time.Duration `cbor:"2,keyasint,omitempty"`
}

// NoJitter is a Schedule.Jitter without any.
const NoJitter = time.Duration(-1)

// Defaults and bounds of a schedule, as fractions of the lifetime.
const (
	defaultMargin = 20
	defaultJitter = 40
	maxMargin     = 2
	maxJitter     = 4
)

func (s Schedule) withDefaults(life time.Duration) Schedule {
	if s.Margin == 0 {
		s.Margin = life / defaultMargin
	}
	if s.Jitter == 0 {
		s.Jitter = life / defaultJitter
	}
	return s
}

func (s Schedule) check(life time.Duration, bad func(format string, args ...any)) {
	if s.Margin < 0 || s.Margin > life/maxMargin {
		bad("the rekey margin must be at most half of the key lifetime, not %v of %v", s.Margin, life)
	}
	if s.Jitter > life/maxJitter {
		bad("the rekey jitter must be at most a quarter of the key lifetime, not %v of %v", s.Jitter, life)
	}
}

// rekeyAt is when the schedule replaces the keying material, less a jitter that
// the group and the version fix.
func (h *head) rekeyAt() time.Time {
	s := h.Config.Schedule.withDefaults(h.Config.KeyLifetime)               // records of before have none
	x := (h.Number*0x9e3779b97f4a7c15 ^ h.Version*0xbf58476d1ce4e5b9) >> 48 // 16 bits, evenly spread
	jitter := time.Duration(float64(max(s.Jitter, 0)) * float64(x) / (1 << 16))
	return time.Unix(h.Expires, 0).Add(-s.Margin - jitter)
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
