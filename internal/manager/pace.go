package manager

import "time"

// pace spreads out what is begun: rate times a second, and a few more at once
// after a pause. A rekeying of ten thousand members that is sent as fast as it can
// be made keeps every processor busy until it is out, and others who ask meanwhile
// wait behind it; networks of small devices lose what comes all at once.
//
// It is used under the lock of the delivery loop.
type pace struct {
	every time.Duration // between two, on average
	next  time.Time     // when the next one may begin, were there no burst
}

// paceBurst is how many may begin at once after a pause: what falls due while the
// loop, with coarse timers on a busy machine, sleeps.
const paceBurst = 32

func newPace(perSecond int) pace { return pace{every: time.Second / time.Duration(perSecond)} }

// take takes one's turn, if it is time.
func (p *pace) take(now time.Time) bool {
	if p.wait(now) > 0 {
		return false
	}
	if first := now.Add(-(paceBurst - 1) * p.every); p.next.Before(first) {
		p.next = first
	}
	p.next = p.next.Add(p.every)
	return true
}

// wait is how long it is until the next turn; 0: now.
func (p *pace) wait(now time.Time) time.Duration { return max(0, p.next.Sub(now)) }
