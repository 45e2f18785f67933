package main

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/grouposcore"
	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/member"
)

// thief has copied the keys of a lamp. It listens at the group's multicast
// address on a socket of its own and tries to open what it hears.
type thief struct {
	keys    *grouposcore.Context
	params  grouposcore.Params // the same keys, to be tried under another Gid
	id      grouposcore.Identity
	creds   grouposcore.CredentialSource
	ep      *endpoint.Endpoint
	conn    endpoint.Transport // at the group's address
	stopped chan struct{}

	mu sync.Mutex
	n  tally
}

// tally counts the group requests that a thief heard.
type tally struct {
	Received            int `json:"received"`
	Opened              int `json:"opened"`
	UnknownGid          int `json:"refused_unknown_gid"`
	WrongSecret         int `json:"old_secret_under_new_gid_failed"`
	ReceivedWhileMember int `json:"received_while_member"`
}

// newThief starts to listen with stolen keys.
func (d *demo) newThief(keys *member.CopiedKeys) (*thief, error) {
	t := &thief{keys: keys.Context, params: keys.Params, id: keys.Identity, creds: keys.Credentials, stopped: make(chan struct{})}
	var err error
	t.ep, err = endpoint.New(endpoint.Config{Unicast: loopback(thiefOctet, 0), Log: d.log.With("device", "thief")})
	if err != nil {
		return nil, err
	}
	if d.multicast {
		t.conn, err = (endpoint.UDP{}).ListenGroup(d.group, d.iface)
	} else {
		t.conn, err = (endpoint.UDP{}).Listen(loopback(thiefOctet, 0)) // the fan-out goes there too
	}
	if err != nil {
		return nil, errors.Join(err, t.ep.Close())
	}
	go t.listen()
	return t, nil
}

// listen opens what it can until the socket is closed.
func (t *thief) listen() {
	defer close(t.stopped)
	b := make([]byte, 1<<16)
	for {
		n, _, _, _, err := t.conn.ReadFrom(b)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		t.try(append([]byte{}, b[:n]...))
	}
}

// try opens one real datagram: with the keys as they were stolen, and, if its
// Gid is another one, with the stolen Master Secret under that Gid.
func (t *thief) try(datagram []byte) {
	m, err := coapmsg.ParseDatagram(datagram)
	if err != nil || !coapmsg.IsRequest(m.Code) {
		return
	}
	v, count := coapmsg.FindOSCORE(m.Options)
	opt, err := coapmsg.ParseOSCOREOption(v)
	if err != nil || count != 1 || string(opt.KID) == string(t.id.SenderID) {
		return
	}
	_, _, _, err = t.keys.UnprotectRequest(m)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.n.Received++
	switch {
	case err == nil:
		t.n.Opened++
		t.n.ReceivedWhileMember++
	case errors.Is(err, grouposcore.ErrNoContext):
		t.n.UnknownGid++
		p := t.params
		p.Gid = opt.KIDContext
		cx, err := grouposcore.NewContext(p, t.id, t.keys.Sequence(), t.creds)
		if err != nil {
			return
		}
		if _, _, _, err = cx.UnprotectRequest(m); errors.Is(err, grouposcore.ErrDecryption) {
			t.n.WrongSecret++
		}
	}
}

func (t *thief) tally() tally {
	// What was sent before the answers that the caller has seen has arrived; a
	// moment for the thief's own goroutine to have counted it.
	time.Sleep(50 * time.Millisecond)
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.n
}

// request asks the lamps under the stolen keys and returns how many answered.
func (t *thief) request(ctx context.Context, d *demo) (int, error) {
	g := grouposcore.NewGroup(t.keys)
	ctx, cancel := context.WithTimeout(ctx, 4*demoLeisure)
	defer cancel()
	n := 0
	if d.multicast {
		for _, err := range t.ep.DoMulticast(ctx, endpoint.Request{
			To: d.group, Code: codes.GET, Path: demoPath, Security: endpoint.WithGroup(g), Interface: d.iface,
		}) {
			if err != nil {
				return n, err
			}
			n++
		}
	}
	for _, name := range []string{"lamp-1", "lamp-2"} {
		_, err := t.ask(ctx, g, d.devices[name].Addr())
		switch {
		case err == nil:
			n++
		case !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, endpoint.ErrProbing):
			return n, err
		}
	}
	return n, nil
}

// addCredentials gives the credentials of all members to a credential source.
func (d *demo) addCredentials(to *grouposcore.StaticCredentials) error {
	g, err := d.of("switch")
	if err != nil {
		return err
	}
	all, err := g.InsecureCopy()
	if err != nil {
		return err
	}
	for _, p := range g.Peers() {
		c, err := all.Credentials.Credential(all.Params.Gid, p.SenderID)
		if err != nil {
			return err
		}
		to.Set(p.SenderID, c)
	}
	to.Set(all.Identity.SenderID, all.Identity.Credential)
	return nil
}

func (t *thief) ask(ctx context.Context, g *grouposcore.Group, to netip.AddrPort) (*endpoint.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, demoLeisure)
	defer cancel()
	return t.ep.Do(ctx, endpoint.Request{To: to, Code: codes.GET, Path: demoPath, Security: endpoint.WithGroup(g)})
}

func (t *thief) close() error {
	err := t.conn.Close()
	<-t.stopped
	return errors.Join(err, t.ep.Close())
}
