package endpoint_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/internal/netsim"
)

// world is one server with all kinds of resources and a peer made of datagrams.
type world struct {
	t      *testing.T
	net    *netsim.Network
	res    *resources
	sec    *toy // of the server
	mine   *toy // of the peer
	meter  *endpoint.Counters
	server *endpoint.Endpoint
	peer   *raw
}

// inWorld runs f under fake time.
func inWorld(t *testing.T, cfg endpoint.Config, f func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, net: netsim.New(netsim.Config{}), res: newResources(), sec: &toy{id: 1}, mine: &toy{id: 2}, meter: &endpoint.Counters{}}
		cfg.Network, cfg.Unicast, cfg.Handler, cfg.Meter = w.net, serverAddr, w.res, w.meter
		cfg.Openers = []endpoint.RequestOpener{w.sec}
		w.server = start(t, cfg)
		w.peer = listenRaw(t, w.net, clientAddr)
		f(t, w)
	})
}

// protected makes a protected request datagram.
func (w *world) protected(typ message.Type, mid int32, path string, opts ...message.Option) []byte {
	w.t.Helper()
	m, err := coapmsg.ParseDatagram(get(w.t, typ, mid, path, opts...))
	if err != nil {
		w.t.Fatal(err)
	}
	p, err := w.mine.protect(m, codes.POST)
	if err != nil {
		w.t.Fatal(err)
	}
	p.Token, p.Type, p.MessageID = m.Token, typ, mid
	return encode(w.t, p)
}

// opened decrypts a response.
func (w *world) opened(m message.Message) message.Message {
	w.t.Helper()
	in, _, err := w.mine.OpenResponse(m, time.Now())
	if err != nil {
		w.t.Fatalf("%+v: %v", m, err)
	}
	return in
}

func (w *world) dropped(r endpoint.Reason, want uint64) {
	w.t.Helper()
	synctest.Wait()
	if n := w.meter.Get(r); n != want {
		w.t.Fatalf("%d drops for %v, want %d", n, r, want)
	}
}

const (
	con = message.Confirmable
	non = message.NonConfirmable
)

// pass lets time go by in a bubble, and everything come to rest.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}
