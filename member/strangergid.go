package member

import (
	"net/netip"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"

	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// hintInterval is the least time between two checks that unknown Gids cause:
// anybody can send a message with one.
const hintInterval = 10 * time.Second

// strangerGid is the last opener of a device's endpoint. It opens nothing: a
// group message that no context fits may mean that the group was rekeyed and
// the device missed it, so the groups ask their Group Manager.
type strangerGid struct{ d *Device }

// OpenRequest implements endpoint.RequestOpener.
func (s strangerGid) OpenRequest(_ message.Message, opt coapmsg.OSCOREOption, _ netip.AddrPort, _ bool) (*endpoint.Opened, error) {
	if opt.Group && opt.KIDContext != nil {
		for _, g := range s.d.Groups() {
			g.hint()
		}
	}
	return nil, endpoint.ErrNoContext
}

// hint makes the group check its version, but not more often than
// hintInterval.
func (g *Group) hint() {
	now := g.d.now()
	g.mu.Lock()
	defer g.mu.Unlock()
	if now.Sub(g.hinted) < hintInterval {
		return
	}
	g.hinted, g.check = now, true
	g.wakeLocked()
}
