package coap

import (
	"container/list"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"sync"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/authserver"
	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/oscore"
)

// maxDevices is how many devices may have a context with the Authorization
// Server at once; the one that was set up first makes room, and runs the
// derivation again when it comes back.
const maxDevices = 4096

// asOpener opens requests to the Authorization Server. A device is set up when
// its first request arrives: its enrolment secret only ever derives one-time
// contexts (RFC 8613, Appendix B.2). The contexts are apart from those of the
// Group Manager, whose identifiers are given out without regard to these.
type asOpener struct {
	as       AuthServer
	contexts *endpoint.Contexts
	rand     io.Reader

	mu    sync.Mutex
	known map[string]*list.Element // by kid
	order *list.List               // of *device, oldest first
}

// device is a peer of the Authorization Server, a device or a resource server. It is what a request's
// Peer.Association holds.
type device struct {
	kid    string
	peer   authserver.Peer
	name   string
	params *oscore.Params // to notice that the device was enrolled anew

	mu      sync.Mutex
	session authserver.Session
	former  *superseded // the context before, not put up yet
}

// superseded is what Peer.Association holds for a request under a context that a
// newer one has replaced: a tripwire. The device that made the newer one does
// not use it any more, so whoever does has a copy of the secret.
type superseded struct {
	*device
	ctx *oscore.Context
	was authserver.Session
}

func newASOpener(as AuthServer, random io.Reader) *asOpener {
	return &asOpener{as: as, contexts: &endpoint.Contexts{Rand: random}, rand: random, known: map[string]*list.Element{}, order: list.New()}
}

// OpenRequest implements endpoint.RequestOpener.
func (a *asOpener) OpenRequest(m message.Message, opt coapmsg.OSCOREOption, from netip.AddrPort, multicast bool) (*endpoint.Opened, error) {
	if opt.Group || opt.KID == nil || multicast {
		return nil, endpoint.ErrNoContext
	}
	o, err := a.contexts.OpenRequest(m, opt, from, multicast)
	if err == nil || opt.KIDContext == nil {
		return o, err
	}
	fresh, serr := a.setUp(opt.KID)
	if serr != nil || !fresh {
		return nil, errors.Join(err, serr)
	}
	return a.contexts.OpenRequest(m, opt, from, multicast)
}

// setUp lets a device derive contexts. It reports false when there is no such
// device, or when it is set up with the secret it has.
func (a *asOpener) setUp(kid []byte) (fresh bool, err error) {
	assoc, err := a.as.PeerByID(kid)
	if err != nil {
		return false, nil // nobody, or disabled: as if there were no context
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if e := a.known[string(kid)]; e != nil {
		if d := e.Value.(*device); d.peer == assoc.Peer && d.params.MasterSecret.Equal(assoc.Params.MasterSecret) {
			return false, nil
		}
		a.remove(e)
	}
	server, err := oscore.NewB2Server(assoc.Params, a.rand)
	if err != nil {
		return false, fmt.Errorf("enrolment of %q: %w", assoc.Name, err)
	}
	if a.order.Len() >= maxDevices {
		a.remove(a.order.Front())
	}
	d := &device{kid: string(kid), peer: assoc.Peer, name: assoc.Name, params: &assoc.Params}
	a.known[d.kid] = a.order.PushBack(d)
	a.contexts.AddB2(kid, server, endpoint.B2Options{Association: d, Established: func(_, former *oscore.Context) error {
		return a.established(d, former)
	}})
	return true, nil
}

// established notes a new context of a device, unless the device was revoked or
// enrolled anew since it was set up.
func (a *asOpener) established(d *device, former *oscore.Context) error {
	assoc, err := a.as.PeerByID([]byte(d.kid))
	if err == nil && (assoc.Peer != d.peer || !d.params.MasterSecret.Equal(assoc.Params.MasterSecret)) {
		err = errReplaced
	}
	if err != nil {
		// The same answer as to a stranger (RFC 8613, Section 8.2), so that
		// the device need not wait for its retransmissions.
		return &endpoint.Refusal{Code: codes.Unauthorized, Diagnostic: "Security context not found", Err: err}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if former != nil {
		d.former = &superseded{device: d, ctx: former, was: d.session}
	}
	d.session = a.as.Began(d.peer)
	return nil
}

// noContext is the refusal of RFC 8613, Section 8.2, for one whose context is
// not to be used: 4.01 in clear.
func noContext(err error) *endpoint.Refusal {
	return &endpoint.Refusal{Code: codes.Unauthorized, Diagnostic: "Security context not found", Err: err}
}

var errReplaced = errors.New("the device was enrolled anew")

// use gives the session of a request's context and puts up the tripwire that the
// establishment of the newest context left.
func (a *asOpener) use(association any) (session authserver.Session, name string, ok bool) {
	switch v := association.(type) {
	case *superseded:
		return v.was, v.name, true
	case *device:
		v.mu.Lock()
		defer v.mu.Unlock()
		if f := v.former; f != nil {
			v.former = nil
			_ = a.contexts.AddOSCORE(f.ctx, f, nil) // a duplicate is up already
		}
		return v.session, v.name, true
	}
	return session, "", false
}

func (a *asOpener) remove(e *list.Element) {
	d := a.order.Remove(e).(*device)
	delete(a.known, d.kid)
	a.contexts.RemoveB2([]byte(d.kid))
}
