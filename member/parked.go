package member

import (
	"bytes"
	"slices"
	"time"

	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// maxParked bounds the requests under an unknown Gid that wait for a check of
// one group: anybody can make such a request, and the endpoint's places are
// also for members whose credential is missing.
const maxParked = 8

// parkedFor is how long such a request waits: as long as the endpoint keeps it.
const parkedFor = 5 * time.Second

// parkedRequest names requests that the endpoint keeps for a while: those of one
// sender under one Gid.
type parkedRequest struct {
	gid, id []byte
	until   time.Time
}

// park notes a request under an unknown Gid that waits for a check.
func (g *Group) park(opt coapmsg.OSCOREOption) bool {
	now := g.d.now()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.parked = slices.DeleteFunc(g.parked, func(p parkedRequest) bool { return !now.Before(p.until) })
	for i, p := range g.parked {
		if bytes.Equal(p.gid, opt.KIDContext) && bytes.Equal(p.id, opt.KID) {
			g.parked[i].until = now.Add(parkedFor)
			return true
		}
	}
	if len(g.parked) >= maxParked {
		return false
	}
	g.parked = append(g.parked, parkedRequest{bytes.Clone(opt.KIDContext), bytes.Clone(opt.KID), now.Add(parkedFor)})
	return true
}

// unpark takes up again what waits for the keys that are in use now: they came by
// a check, or by a rekeying message that a request overtook. All else stays with
// the endpoint until its time is over.
func (g *Group) unpark() {
	g.mu.Lock()
	var mine []parkedRequest
	if l := g.live; l != nil {
		gid := l.cx.Gid()
		g.parked = slices.DeleteFunc(g.parked, func(p parkedRequest) bool {
			is := bytes.Equal(p.gid, gid)
			if is {
				mine = append(mine, p)
			}
			return is
		})
	}
	g.mu.Unlock()
	for _, p := range mine {
		g.d.ep.CredentialReady(p.gid, p.id)
	}
}
