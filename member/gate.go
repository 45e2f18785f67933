package member

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/plgd-dev/go-coap/v3/message"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// gate is the opener of a device's endpoint: its security contexts, and what
// the roles in a group and the state of its keys allow.
type gate struct{ d *Device }

// OpenRequest implements endpoint.RequestOpener. What is not to be processed is
// dropped without an answer.
func (o gate) OpenRequest(m message.Message, opt coapmsg.OSCOREOption, from netip.AddrPort, multicast bool) (*endpoint.Opened, error) {
	op, err := o.d.contexts.OpenRequest(m, opt, from, multicast)
	if errors.Is(err, endpoint.ErrNoContext) && opt.KIDContext != nil {
		// Perhaps one of the groups was rekeyed and the device missed it. If so
		// the request waits until the group has found out: it may be the first
		// one under the new keys.
		for _, g := range o.d.Groups() {
			if g.hint() && opt.Group && g.park(opt) {
				err = &endpoint.MissingCredential{Gid: opt.KIDContext, SenderID: opt.KID}
			}
		}
	}
	if err != nil {
		return nil, err
	}
	g, ok := op.Peer.Association.(*Group)
	if !ok {
		return op, nil
	}
	if err := g.admits(op.Peer); err != nil {
		return nil, err
	}
	protect := op.Protect
	op.Protect = func(resp message.Message, po endpoint.ProtectOptions) (message.Message, error) {
		if err := g.sendable(); err != nil {
			return message.Message{}, err
		}
		return protect(resp, po)
	}
	return op, nil
}

// admits says whether a verified request of a member may be processed
// (ace-key-groupcomm-oscore, Sections 6.4 and 9.9): the group is active, the
// device answers or looks on, and the sender may ask.
func (g *Group) admits(p endpoint.Peer) error {
	g.mu.Lock()
	inactive, serves := g.inactive, g.rec.serves()
	g.mu.Unlock()
	switch {
	case inactive:
		return fmt.Errorf("%w: %s", ErrInactive, g.name)
	case !serves:
		return fmt.Errorf("%w: a request in group %s", ErrRole, g.name)
	}
	if r := g.dir.roles(p.SenderID); r != 0 && !r.Has(ace.RoleRequester) {
		return fmt.Errorf("%w: request of %x, who is %v", ErrRole, p.SenderID, r)
	}
	return nil
}

// sendable says why nothing may be protected now, if so: after the end of its
// lifetime keying material only serves to decrypt (RFC 9594, Section 4.3.1).
func (g *Group) sendable() error {
	_, err := g.current()
	return err
}
