package member

import (
	"errors"
	"fmt"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/mux"

	"github.com/cohort-iot/cohort/endpoint"
)

// controlPattern is the resource at which the device takes what its Group
// Manager has to say about one group: POST brings a rekeying message, DELETE
// the notice of an eviction (RFC 9594, Sections 4.3.1 and 6; the path is the
// one ace-key-groupcomm-oscore suggests).
const controlPattern = "/ace-group/{group}/node"

// controlURI is where the Group Manager reaches the device about a group.
func (d *Device) controlURI(group string) string {
	return fmt.Sprintf("coap://%s/ace-group/%s/node", hostPort(d.ep.LocalAddr()), group)
}

// serveControl serves the control resource. Only associations with the Group
// Manager may use it, whatever other OSCORE contexts there may be.
func (d *Device) serveControl(w mux.ResponseWriter, r *mux.Message) {
	_ = w.SetResponse(d.control(r), message.TextPlain, nil)
}

func (d *Device) control(r *mux.Message) codes.Code {
	p, ok := endpoint.PeerFrom(r.Context())
	if !ok {
		return codes.Unauthorized
	}
	if a, ok := p.Association.(*association); !ok || a == nil {
		return codes.Forbidden
	}
	g, err := d.Group(r.RouteParams.Vars["group"])
	if err != nil {
		return codes.NotFound
	}
	switch r.Code() {
	case codes.POST:
		return g.takeRekey(r)
	case codes.DELETE:
		if err := g.evicted(r.Context()); !errors.Is(err, ErrEvicted) || g.Err() == nil {
			return codes.InternalServerError
		}
		return codes.Deleted
	}
	return codes.MethodNotAllowed
}
