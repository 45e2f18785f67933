package endpoint_test

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/internal/netsim"
)

// Whatever is given up silently is counted by its reason. Reasons that tests of
// other things look at are not here again.
func TestDropsAreCounted(t *testing.T) {
	t.Run("malformed, and codes of reserved classes", func(t *testing.T) {
		inWorld(t, endpoint.Config{}, func(t *testing.T, w *world) {
			w.peer.send(serverAddr, []byte{0x80, 1, 0, 9}) // version 2
			w.peer.send(serverAddr, []byte{0x50, 0, 0, 9}) // empty NON
			w.peer.send(serverAddr, []byte{0x60, 1, 0, 9}) // request in an ACK
			w.dropped(endpoint.DropMalformed, 3)
			w.peer.send(serverAddr, []byte{0x50, 0x3f, 0, 9})
			w.dropped(endpoint.DropSignalling, 1)
		})
	})
	t.Run("suppressed", func(t *testing.T) {
		inWorld(t, endpoint.Config{}, func(t *testing.T, w *world) {
			w.peer.send(serverAddr, get(t, non, 1, "a", message.Option{ID: coapmsg.NoResponse, Value: []byte{2}}))
			w.dropped(endpoint.DropSuppressed, 1)
			w.peer.nothing(time.Second)
		})
	})
	t.Run("protect, a response that its context does not protect", func(t *testing.T) {
		refuse := errors.New("no sequence number")
		inDropWorld(t, opened(func(o *endpoint.Opened) {
			o.Protect = func(m message.Message, _ endpoint.ProtectOptions) (message.Message, error) { return m, refuse }
		}), func(t *testing.T, w *world) {
			w.peer.send(serverAddr, w.protected(con, 1, "a"))
			w.dropped(endpoint.DropProtect, 1)
		})
	})
	t.Run("not-fresh, a replay with a correct Echo value", func(t *testing.T) {
		inDropWorld(t, opened(func(o *endpoint.Opened) { o.Fresh = func() error { return errors.New("replay") } }), func(t *testing.T, w *world) {
			w.peer.send(serverAddr, w.protected(con, 1, "a"))
			echo, _ := coapmsg.Get(w.opened(w.peer.nextMessage(time.Second)).Options, coapmsg.Echo)
			w.dropped(endpoint.DropNotFresh, 0)
			w.peer.send(serverAddr, w.protected(con, 2, "a", message.Option{ID: coapmsg.Echo, Value: echo}))
			w.dropped(endpoint.DropNotFresh, 1)
			if w.res.runs.Load() != 0 {
				t.Fatal("served")
			}
		})
	})
	t.Run("unsent, what the socket refuses", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n, meter := netsim.New(netsim.Config{}), &endpoint.Counters{}
			start(t, endpoint.Config{Network: deafNetwork{n}, Unicast: serverAddr, Handler: newResources(), Meter: meter})
			listenRaw(t, n, clientAddr).send(serverAddr, get(t, con, 1, "a"))
			synctest.Wait()
			if got := meter.Get(endpoint.DropUnsent); got != 1 {
				t.Fatal(got)
			}
		})
	})
	t.Run("no-context, a protected response to a plain request", func(t *testing.T) {
		inVain(t, func(m message.Message) message.Message {
			m.Options = message.Options{{ID: coapmsg.OSCORE, Value: []byte{1, 2}}}
			m.Payload = make([]byte, 20)
			return m
		}, endpoint.DropNoContext)
	})
	t.Run("critical-option, a response with one that is not known", func(t *testing.T) {
		inVain(t, func(m message.Message) message.Message {
			m.Options = message.Options{{ID: 9999}}
			return m
		}, endpoint.DropCriticalOption)
	})
	t.Run("leisure, too many answers that wait for their time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n, meter := netsim.New(netsim.Config{}), &endpoint.Counters{}
			start(t, endpoint.Config{
				Network: n, Unicast: serverAddr, Handler: newResources(), Meter: meter, InsecurePlainMulticast: true, Leisure: time.Minute,
				Groups: []endpoint.MulticastGroup{{Addr: groupAddr}},
			})
			peer := listenRaw(t, n, clientAddr)
			for mid := range int32(1030) {
				peer.send(groupAddr, get(t, non, mid, "a"))
				synctest.Wait()
			}
			if got := meter.Get(endpoint.DropLeisure); got == 0 || got >= 1030 {
				t.Fatal(got)
			}
		})
	})
	t.Run("response-queue, a caller that takes responses too slowly", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n, meter := netsim.New(netsim.Config{}), &endpoint.Counters{}
			client := start(t, endpoint.Config{Network: n, Unicast: clientAddr, Meter: meter, InsecurePlainMulticast: true, ResponseQueue: 2})
			g, err := n.ListenGroup(groupAddr, "")
			if err != nil {
				t.Fatal(err)
			}
			defer g.Close()
			peer := listenRaw(t, n, serverAddr)
			go func() {
				m := (&raw{t, g}).nextMessage(time.Second)
				for mid := range int32(6) {
					peer.send(clientAddr, encode(t, message.Message{Type: non, MessageID: mid, Token: m.Token, Code: codes.Content}))
				}
			}()
			ctx, cancel := within(time.Minute)
			defer cancel()
			taken := 0
			for _, err := range client.DoMulticast(ctx, endpoint.Request{To: groupAddr, Code: codes.GET}) {
				if err != nil {
					t.Fatal(err)
				}
				taken++
				synctest.Wait()
			}
			if got := meter.Get(endpoint.DropResponseQueue); got == 0 || int(got)+taken != 6 {
				t.Fatalf("%d taken, %d dropped", taken, got)
			}
		})
	})
	t.Run("stale, a notification that a newer one overtook", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n, meter := netsim.New(netsim.Config{}), &endpoint.Counters{}
			server := listenRaw(t, n, serverAddr)
			w := watch(t, start(t, endpoint.Config{Network: n, Unicast: clientAddr, Meter: meter}), endpoint.Request{To: serverAddr, Code: codes.GET})
			defer w.stop()
			reg := server.nextMessage(time.Second)
			notify := func(typ message.Type, mid int32, seq uint32, body string) {
				server.send(clientAddr, encode(t, message.Message{Type: typ, MessageID: mid, Token: reg.Token, Code: codes.Content, Payload: []byte(body),
					Options: message.Options{{ID: message.Observe, Value: coapmsg.EncodeUint(seq)}}}))
			}
			notify(message.Acknowledgement, reg.MessageID, 10, "first")
			w.want("first")
			notify(non, 1, 12, "third")
			w.want("third")
			notify(non, 2, 11, "second")
			synctest.Wait()
			if got := meter.Get(endpoint.DropStale); got != 1 {
				t.Fatal(got)
			}
		})
	})
	t.Run("every reason has a name of its own", func(t *testing.T) {
		seen := map[string]bool{}
		for _, r := range endpoint.Reasons() {
			if r.String() == "" || seen[r.String()] {
				t.Fatalf("reason %d: %q", r, r)
			}
			seen[r.String()] = true
		}
	})
}

// opened is an opener that changes what the toy gives.
type opened func(*endpoint.Opened)

func (f opened) OpenRequest(m message.Message, opt coapmsg.OSCOREOption, from netip.AddrPort, group bool) (*endpoint.Opened, error) {
	o, err := (&toy{id: 1}).OpenRequest(m, opt, from, group)
	if err == nil {
		f(o)
	}
	return o, err
}

// inDropWorld is inWorld with another opener.
func inDropWorld(t *testing.T, o endpoint.RequestOpener, f func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, net: netsim.New(netsim.Config{}), res: newResources(), mine: &toy{id: 2}, meter: &endpoint.Counters{}}
		w.server = start(t, endpoint.Config{Network: w.net, Unicast: serverAddr, Handler: w.res, Meter: w.meter, Openers: []endpoint.RequestOpener{o}})
		w.peer = listenRaw(t, w.net, clientAddr)
		f(t, w)
	})
}

// inVain asks a server whose response is changed: it is dropped for the reason.
func inVain(t *testing.T, change func(message.Message) message.Message, why endpoint.Reason) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n, meter := netsim.New(netsim.Config{}), &endpoint.Counters{}
		client := start(t, endpoint.Config{Network: n, Unicast: clientAddr, Meter: meter})
		server := listenRaw(t, n, serverAddr)
		go func() {
			m := server.nextMessage(time.Second)
			server.send(clientAddr, encode(t, change(message.Message{Type: message.Acknowledgement, MessageID: m.MessageID, Token: m.Token, Code: codes.Content})))
		}()
		ctx, cancel := within(time.Minute)
		defer cancel()
		if resp, err := client.Do(ctx, endpoint.Request{To: serverAddr, Code: codes.GET}); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("%+v %v", resp, err)
		}
		if got := meter.Get(why); got != 1 {
			t.Fatal(got)
		}
	})
}

// deafNetwork has sockets that receive and refuse to send.
type deafNetwork struct{ *netsim.Network }

func (n deafNetwork) Listen(addr netip.AddrPort) (endpoint.Transport, error) {
	c, err := n.Network.Listen(addr)
	return deafSocket{c}, err
}

type deafSocket struct{ netsim.Transport }

func (deafSocket) WriteTo([]byte, netip.AddrPort, netip.Addr, int, int) error {
	return errors.New("refused")
}
