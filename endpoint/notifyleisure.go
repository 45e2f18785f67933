package endpoint

import (
	"time"
)

// leisurePeriod is the time over which notifications of one group are spread.
// What comes up during one waits for the next (draft-ietf-core-groupcomm-bis,
// Section 3.7).
type leisurePeriod struct {
	end     interface{ Stop() bool }
	waiting []*observer
}

func (g *leisurePeriod) stop() { g.end.Stop() }

// leisurely has an observer wait its time. n.mu is held.
func (n *observers) leisurely(ob *observer) {
	if g := n.groups[ob.group]; g != nil {
		g.waiting = append(g.waiting, ob)
		return
	}
	n.period(ob, []*observer{ob})
}

// period begins a leisure period of the group of ob for some observers. n.mu is
// held.
func (n *observers) period(ob *observer, due []*observer) {
	e := n.e
	group := ob.group
	n.groups[group] = &leisurePeriod{end: e.cfg.Clock.AfterFunc(e.cfg.Leisure, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		g := n.groups[group]
		delete(n.groups, group)
		if len(g.waiting) > 0 && !n.stopped {
			n.period(g.waiting[0], g.waiting)
		}
	})}
	for _, ob := range due {
		e.cfg.Clock.AfterFunc(time.Duration(e.jitter()*float64(e.cfg.Leisure)), func() {
			n.mu.Lock()
			defer n.mu.Unlock()
			if n.stopped || ob.gone {
				ob.busy = false
				return
			}
			n.turn(ob)
		})
	}
}
