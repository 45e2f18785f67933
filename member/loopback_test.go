package member_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"
	"go.uber.org/goleak"

	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/manager"
	"github.com/cohort-iot/cohort/member"
)

// loopback makes a world on real sockets.
func loopback(t *testing.T) *world {
	t.Helper()
	list, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, addr: netip.MustParseAddrPort("127.0.0.1:0"), octet: 1}
	for _, i := range list {
		if i.Flags&net.FlagLoopback != 0 && i.Flags&net.FlagUp != 0 {
			w.iface = i.Name
		}
	}
	c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(w.addr))
	w.check(err)
	w.addr = c.LocalAddr().(*net.UDPAddr).AddrPort() // free, and soon free again
	w.check(c.Close())
	w.begin()
	port := w.addr.Port() ^ 1 // of this test only
	w.group = netip.AddrPortFrom(netip.AddrFrom4([4]byte{239, 255, byte(port >> 8), byte(port)}), port)
	return w
}

func TestOnLoopback(t *testing.T) {
	t.Cleanup(func() { goleak.VerifyNone(t) }) // after everything was closed
	t.Run("GO-7-2,GC-3.1.1-1,GC-3.1.4-1 group requests by multicast, answers in both modes", func(t *testing.T) {
		w := loopback(t)
		w.newGroup("hall", nil)
		l1 := w.device("lamp-1", responder)
		l2 := w.deviceWith("lamp-2", func(c *member.Config) { c.PairwiseAnswers = true }, grant("hall", responder))
		sw := w.device("switch", requester)
		l1.join("hall", responder)
		l2.join("hall", responder)
		sw.join("hall", requester)
		got := sw.answers("hall", "lamp-1", "lamp-2")
		if a := got["lamp-1"]; a != nil && a.Mode != endpoint.GroupMode {
			t.Errorf("lamp-1 answers in mode %v", a.Mode)
		}
		if a := got["lamp-2"]; a != nil && a.Mode != endpoint.PairwiseMode {
			t.Errorf("lamp-2 answers in mode %v", a.Mode)
		}
		p, err := sw.of("hall").FindPeer("lamp-2")
		w.check(err)
		if p.Addr != l2.addr {
			t.Errorf("lamp-2 is at %v, was heard from %v", l2.addr, p.Addr)
		}
		a, err := sw.of("hall").Unicast(t.Context(), p, member.Request{Code: codes.PUT, Path: "/light", Payload: []byte("on")})
		w.check(err)
		if v, _ := l2.light.state(); v != "on" || a.Code != codes.Changed {
			t.Errorf("lamp-2 is %s, answer %v", v, a.Code)
		}
		w.evict("hall", "lamp-2")
		sw.await(member.EventRekeyed, 1)
		l1.await(member.EventRekeyed, 1)
		l2.await(member.EventEvicted, 1)
		sw.answers("hall", "lamp-1")
	})
	t.Run("fan-out by unicast", func(t *testing.T) {
		w := loopback(t)
		w.newGroup("hall", nil)
		l1, l2, sw := w.device("lamp-1", responder), w.device("lamp-2", responder), w.device("switch", requester)
		l1.join("hall", responder)
		l2.join("hall", responder)
		g := sw.join("hall", requester)
		n := 0
		for a, err := range g.Fanout(t.Context(), member.Request{Code: codes.GET, Path: "/light"}, []netip.AddrPort{l1.addr, l2.addr}) {
			w.check(err)
			n++
			if a.Mode != endpoint.GroupMode {
				t.Errorf("%s answers in mode %v", a.Sender.Name, a.Mode)
			}
		}
		if n != 2 {
			t.Errorf("%d answers", n)
		}
	})
}

// TestCloseDuringEverything closes devices while they join, ask, are rekeyed and
// evicted, and starts them again.
func TestCloseDuringEverything(t *testing.T) {
	t.Cleanup(func() { goleak.VerifyNone(t) }) // after everything was closed
	w := loopback(t)
	w.rig = func(o *manager.Options) { o.RetryFirst = 50 * time.Millisecond }
	w.restart(false)
	w.newGroup("hall", nil)
	l := w.device("lamp-1", responder)
	l.join("hall", responder)
	ctx, cancel := context.WithCancel(t.Context())
	var storm sync.WaitGroup
	storm.Go(func() {
		for ctx.Err() == nil {
			if _, err := w.gm.Rekey(ctx, "hall", manager.CauseOperator); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
			select {
			case <-time.After(5 * time.Millisecond):
			case <-ctx.Done():
			}
		}
	})
	const rounds = 12
	for i := range rounds {
		d := w.device(fmt.Sprint("switch-", i), both)
		var busy sync.WaitGroup
		work := func(f func(ctx context.Context) error) {
			busy.Go(func() {
				for ctx.Err() == nil {
					if err := f(ctx); errors.Is(err, member.ErrClosed) || errors.Is(err, endpoint.ErrClosed) {
						return
					}
				}
			})
		}
		work(func(ctx context.Context) error {
			_, err := d.Join(ctx, member.JoinOptions{Group: "hall", Roles: both, Address: w.group})
			if errors.Is(err, member.ErrAlreadyMember) {
				g, err := d.Group("hall")
				if err != nil {
					return nil
				}
				if i%3 == 0 {
					return g.Leave(ctx)
				}
				return g.Check(ctx)
			}
			return err
		})
		work(func(ctx context.Context) error {
			g, err := d.Group("hall")
			if err != nil {
				return d.closed()
			}
			ctx, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
			defer cancel()
			for _, err := range g.Request(ctx, member.Request{Code: codes.GET, Path: "/light"}) {
				if err != nil {
					return err
				}
			}
			return nil
		})
		time.Sleep(time.Duration(i*7) * time.Millisecond)
		if i%4 == 3 {
			if m, ok := w.node("hall", d.name); ok {
				_, err := w.gm.Evict(ctx, "hall", m.Node, manager.CauseEviction)
				if err != nil && manager.KindOf(err) != manager.KindNotFound {
					t.Error(err)
				}
			}
		}
		closing := d.Device
		w.check(closing.Close())
		busy.Wait()
		d.stop()
		d.open() // what is left can be taken up
		d.stop()
	}
	cancel()
	storm.Wait()
}

// closed is an error once the device is closed.
func (d *device) closed() error {
	_, err := d.Join(d.w.t.Context(), member.JoinOptions{Group: "nowhere", Roles: requester})
	return err
}
