package coap_test

import (
	"context"
	"crypto/rand"
	"net/netip"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/ace/trl"
	"github.com/cohort-iot/cohort/api/coap"
	"github.com/cohort-iot/cohort/endpoint"
)

// follow lets a Group Manager follow the lists until the test ends.
func (g *externalGM) follow(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan struct{})
	go func() {
		defer close(over)
		g.trust.Run(ctx)
	}()
	t.Cleanup(func() { cancel(); <-over })
}

// until waits for something that takes some messages.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(what)
		}
	}
}

// alarms counts how often the secret of the resource server was seen to be in
// use twice.
func (a *loneAS) alarms() uint64 {
	a.t.Helper()
	list, err := a.svc.ResourceServers()
	if err != nil {
		a.t.Fatal(err)
	}
	var n uint64
	for _, rs := range list {
		n += uint64(rs.Alarms)
	}
	return n
}

func TestWatchList(t *testing.T) {
	t.Parallel()
	t.Run("TR-RS-01,TR-QRY-13 a token that is revoked ends at a Group Manager of another process at once, before it polls", func(t *testing.T) {
		t.Parallel()
		a := newLoneAS(t)
		rs, device := a.world()
		g := newExternalGM(t, nil)
		if err := g.trust.Add(t.Context(), rs); err != nil {
			t.Fatal(err)
		}
		g.follow(t)
		until(t, "the list is not observed", func() bool { return a.ep.Observers() == 1 })
		d := &thing{t: t, s: &site{t: t, ep: g.ep}, name: "switch", ctxs: &endpoint.Contexts{}, got: make(chan struct{}, 4)}
		p := a.peer(device.AS)
		d.ep, d.token = p.ep, a.tokenOf(p)
		d.postToken()
		d.must(d.gmProt, codes.GET, "/ace-group/g1", 0, nil, codes.NotFound)
		h := ace.HashToken(d.token.AccessToken)
		if err := a.svc.RevokeToken(t.Context(), h, "test"); err != nil {
			t.Fatal(err)
		}
		until(t, "nobody told the Group Manager", func() bool { return g.trust.Revoked(h) })
		until(t, "the association works on", func() bool {
			_, err := d.ask(d.gmProt, codes.GET, "/ace-group/g1", 0, nil)
			return err != nil
		})
	})
	t.Run("TR-RS-09 when the Authorization Server starts anew the list is observed again, and no secret seems to be in use twice", func(t *testing.T) {
		t.Parallel()
		a := newLoneAS(t)
		rs, device := a.world()
		g := newExternalGM(t, nil)
		if err := g.trust.Add(t.Context(), rs); err != nil {
			t.Fatal(err)
		}
		g.follow(t)
		until(t, "the list is not observed", func() bool { return a.ep.Observers() == 1 })
		_ = a.ep.Close()
		a.serve(a.ep.LocalAddr())
		if err := g.trust.Poll(t.Context()); err != nil { // finds that the context is lost
			t.Fatal(err)
		}
		until(t, "the list is not observed again", func() bool { return a.ep.Observers() == 1 })
		h := ace.HashToken(a.tokenOf(a.peer(device.AS)).AccessToken)
		if err := a.svc.RevokeToken(t.Context(), h, "test"); err != nil {
			t.Fatal(err)
		}
		until(t, "nobody told the Group Manager", func() bool { return g.trust.Revoked(h) })
		if n := a.alarms(); n != 0 {
			t.Fatalf("%d alarms", n)
		}
	})
	t.Run("TR-QRY-13 who observes the same again after a restart is notified, although the old observation is still there", func(t *testing.T) {
		t.Parallel()
		a := newLoneAS(t)
		rs, device := a.world()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		heard := make(chan *trl.Response, 16)
		for i := range 3 { // the endpoints of the first two never tell that they end
			ep, err := endpoint.New(endpoint.Config{Unicast: netip.MustParseAddrPort("127.0.0.1:0")})
			if err != nil {
				t.Fatal(err)
			}
			c := coap.NewASClient(staticAS{rs}, rand.Reader)
			c.Attach(ep)
			over := make(chan struct{})
			go func() {
				defer close(over)
				for resp, err := range c.Watch(ctx, "external", trl.Query{Diff: true, N: 4}) {
					if err == nil && i == 2 {
						heard <- resp
					}
				}
			}()
			until(t, "no observation", func() bool { return a.ep.Observers() == i+1 })
			if i < 2 {
				_ = ep.Close()
				<-over
			} else {
				defer func() { cancel(); <-over; _ = ep.Close() }()
			}
		}
		h := ace.HashToken(a.tokenOf(a.peer(device.AS)).AccessToken)
		for range 2 {
			<-heard // the query, the registration
		}
		if err := a.svc.RevokeToken(t.Context(), h, "test"); err != nil {
			t.Fatal(err)
		}
		select {
		case r := <-heard:
			if len(r.Diff) != 1 || r.Diff[0].Added[0] != h || r.Cursor == nil || *r.Cursor != 0 {
				t.Fatalf("%+v", r)
			}
		case <-time.After(15 * time.Second):
			t.Fatal("not notified")
		}
	})
	t.Run("an observation under a context that is given up ends, and nothing is sent under it any more", func(t *testing.T) {
		t.Parallel()
		a := newLoneAS(t)
		rs, _ := a.world()
		ep, err := endpoint.New(endpoint.Config{Unicast: netip.MustParseAddrPort("127.0.0.1:0")})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = ep.Close() }()
		c := coap.NewASClient(staticAS{rs}, rand.Reader)
		c.Attach(ep)
		var last error
		over := make(chan struct{})
		go func() {
			defer close(over)
			for _, err := range c.Watch(t.Context(), "external", trl.Query{}) {
				last = err
			}
		}()
		until(t, "no observation", func() bool { return a.ep.Observers() == 1 })
		_ = a.ep.Close()
		a.serve(a.ep.LocalAddr())
		if _, err := c.Query(t.Context(), "external", trl.Query{}); err != nil {
			t.Fatal(err)
		}
		<-over
		if last == nil {
			t.Fatal("it ended without an error")
		}
		if n := a.alarms(); n != 0 {
			t.Fatalf("%d alarms", n)
		}
	})
}
