package member

import (
	"time"
)

// agenda is what the goroutine of a group has to do, and when. Group.mu guards
// it.
type agenda struct {
	resumed bool // taken up at a start; the Group Manager has not said yet that the membership goes on
	back    bool // resumed and not at work yet
	check   bool // ask for the current version now
	peers   bool // fetch the credentials of members: the keys were, these were not yet
	hinted  bool // the check is due to a hint, which anybody can give

	checkAt time.Time // when to check without being told to
	hintAt  time.Time // when a hint is followed; zero: there is none
	showAt  time.Time // when to show the Group Manager that a notification arrived; zero: there is nothing to show
	quiet   time.Time // hints before count for nothing
	gap     backoff   // between checks due to hints that were wrong

	wanted  map[string]bool // Sender IDs whose credentials to fetch
	fetches bucket

	notBefore time.Time // errands to the Group Manager wait until then
	retry     backoff
}

// Times of a group's errands.
const (
	// hintSpread is how long a hint waits at most: all members may have it at
	// once.
	hintSpread = 2 * time.Second
	// hintGap and hintGapMost bound how often hints cause a check that finds
	// nothing: anybody can send a message with an unknown Gid.
	hintGap     = 10 * time.Second
	hintGapMost = 10 * time.Minute
	// retryFirst and retryMost are between tries that fail.
	retryFirst = time.Second
	retryMost  = 5 * time.Minute
	// inactiveCheck is how often to ask whether an inactive group is active.
	inactiveCheck = time.Minute
	// expiredCheck is how often to ask for newer keys when they have expired.
	expiredCheck = 30 * time.Second
)

// Credentials are fetched at once, but not more often than this on average:
// messages with any Sender ID can be made up by anybody who knows the Gid.
const (
	fetchBurst    = 4
	fetchInterval = time.Second
	// maxWanted bounds the members whose credentials wait to be fetched.
	maxWanted = 64
)

func newAgenda() agenda {
	return agenda{
		gap:     backoff{first: hintGap, most: hintGapMost},
		retry:   backoff{first: retryFirst, most: retryMost},
		wanted:  map[string]bool{},
		fetches: bucket{size: fetchBurst, every: fetchInterval},
	}
}

// bucket allows size events at once and one more for each interval.
type bucket struct {
	size  int
	every time.Duration
	full  time.Time // when it is full again; before, it lacks some
}

// ready returns when the next event is allowed.
func (b *bucket) ready(now time.Time) time.Time {
	at := b.full.Add(-time.Duration(b.size-1) * b.every)
	if at.Before(now) {
		return now
	}
	return at
}

func (b *bucket) take(now time.Time) {
	if b.full.Before(now) {
		b.full = now
	}
	b.full = b.full.Add(b.every)
}

// hint makes the group check its version soon: a message had an unknown Gid, or
// a request got no answer. The keys may be outdated.
//
// It reports whether such a check is on its way.
func (g *Group) hint() bool {
	now := g.d.now()
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.todo.hintAt.IsZero() {
		return g.ended == nil
	}
	if now.Before(g.todo.quiet) || g.ended != nil {
		return false
	}
	g.todo.hintAt = now.Add(g.d.spread(hintSpread, hintSpread))
	g.wake()
	return true
}

// checked notes a check that succeeded, and whether there were newer keys.
func (g *Group) checked(newer bool) {
	now := g.d.now()
	g.mu.Lock()
	defer g.mu.Unlock()
	a := &g.todo
	if newer || !a.hinted {
		a.gap.reset()
	}
	if a.hinted && !newer {
		a.quiet = now.Add(a.gap.next(g.d))
	}
	a.resumed, a.check, a.hinted, a.hintAt = false, false, false, time.Time{}
	every := time.Duration(g.rec.Check) * time.Second
	if every <= 0 {
		every = defaultCheck
	}
	if g.inactive {
		every = min(every, inactiveCheck)
	}
	if g.lapsed {
		every = min(every, expiredCheck)
	}
	a.checkAt = now.Add(g.d.spread(every, every/5))
	g.wake()
}

// credentialWanted is told by the endpoint whose message waits for a
// credential.
func (d *Device) credentialWanted(gid, id []byte) {
	for _, g := range d.Groups() {
		g.mu.Lock()
		if l := g.live; l != nil && string(l.cx.Gid()) == string(gid) && len(g.todo.wanted) < maxWanted && len(id) <= maxSenderID {
			g.todo.wanted[string(id)] = true
			g.wake()
		}
		g.mu.Unlock()
	}
}
