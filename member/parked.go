package member

import (
	"bytes"

	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// maxParked bounds the requests under an unknown Gid that wait for a check of
// one group: anybody can make such a request, and the endpoint's places are
// also for members whose credential is missing.
const maxParked = 8

// parkedRequest names a request that the endpoint keeps for a while.
type parkedRequest struct{ gid, id []byte }

// park notes a request under an unknown Gid that waits for a check.
func (g *Group) park(opt coapmsg.OSCOREOption) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.parked) >= maxParked {
		return false
	}
	g.parked = append(g.parked, parkedRequest{bytes.Clone(opt.KIDContext), bytes.Clone(opt.KID)})
	return true
}

// unpark ends the waiting. What was found out to be of the group now is taken
// up again; all else stays with the endpoint until its time is over.
func (g *Group) unpark(newer bool) {
	g.mu.Lock()
	list, l := g.parked, g.live
	g.parked = nil
	g.mu.Unlock()
	if !newer || l == nil {
		return
	}
	for _, p := range list {
		if bytes.Equal(p.gid, l.cx.Gid()) {
			g.d.ep.CredentialReady(p.gid, p.id)
		}
	}
}
