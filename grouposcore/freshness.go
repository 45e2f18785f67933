package grouposcore

import (
	"fmt"
	"time"
)

// Freshness says what a server does with a request of which it cannot know
// that it is fresh (Sections 2.6.1.2, 5.2 and 9). In any case nothing is
// delivered under a Replay Window that is not valid.
type Freshness uint8

const (
	// TrustFirst takes the first request of a client on trust: it is not older
	// than the Security Context. Where the window is not valid, the client is
	// challenged by an Echo option.
	TrustFirst Freshness = iota
	// RequireEcho challenges each client once under each Security Context, and
	// delivers nothing before. It costs a round trip, and as many challenges
	// at once as there are servers that a group request reaches.
	RequireEcho
	// Refuse challenges nobody. What comes under a window that is not valid is
	// discarded until new parameters are installed. It is what a silent server
	// does in any case (Section 14.14).
	Refuse
)

func (f Freshness) String() string {
	switch f {
	case TrustFirst:
		return "trust-first"
	case RequireEcho:
		return "echo"
	case Refuse:
		return "refuse"
	}
	return fmt.Sprintf("freshness %d", uint8(f))
}

// ParseFreshness reads what String writes.
func ParseFreshness(s string) (Freshness, error) {
	for _, f := range []Freshness{TrustFirst, RequireEcho, Refuse} {
		if s == f.String() {
			return f, nil
		}
	}
	return 0, fmt.Errorf("%w: freshness policy %q, not trust-first, echo or refuse", ErrParams, s)
}

// judge turns what the Replay Window said of a verified request into what
// becomes of it: nil to deliver it, ErrWindowInvalid or ErrNotFresh to
// challenge its client, with challenge set, any other error to discard it.
// fresh says that the client was shown to be fresh before.
func (c *Context) judge(window error, fresh bool, now time.Time) (verdict error, challenge bool) {
	switch {
	case window == ErrWindowInvalid:
		return window, c.self != nil && c.params.Freshness != Refuse
	case window != nil:
		return window, false
	case c.params.Freshness == RequireEcho && !fresh && !c.young(now):
		return ErrNotFresh, true
	}
	return nil, false
}

// young reports whether any request under this Security Context is fresh
// enough, since the context itself is no older than that (Section 9).
func (c *common) young(now time.Time) bool {
	t := c.params.Established
	return !t.IsZero() && !now.IsZero() && now.Sub(t) < c.params.FreshFor
}

// ConfirmFresh makes the client of a request known to be fresh, after it proved
// that by an Echo option in this request (Section 9). If the client's Replay
// Window is not valid it becomes so, with this request as its lower limit; if it
// is valid by now it decides instead, with ErrReplay if the request is one. On
// nil the request may be delivered. Responses to a request that came under an
// invalid window still carry a Partial IV of their own.
func (c *Context) ConfirmFresh(x *Exchange) error {
	if x == nil || x.server == nil || x.origin != c.common {
		return ErrExchange
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.server.unproven {
		return nil // delivered already
	}
	if x.server.confirmed {
		return ErrReplay
	}
	// Where the window was valid it has this request already.
	if err := x.server.client.confirm(x.server.seq, !x.server.noReuse); err != nil {
		return err
	}
	x.server.confirmed = true
	return nil
}
