package endpoint_test

import (
	"bytes"
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/mux"

	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/internal/secret"
	"github.com/cohort-iot/cohort/oscore"
)

// slowOpener takes its time, an other time for each request, and notes the order.
type slowOpener struct {
	*toy
	takes func(piv []byte, from netip.AddrPort) time.Duration

	mu    sync.Mutex
	order [][]byte
}

func (s *slowOpener) OpenRequest(m message.Message, opt coapmsg.OSCOREOption, from netip.AddrPort, multicast bool) (*endpoint.Opened, error) {
	time.Sleep(s.takes(opt.PIV, from))
	s.mu.Lock()
	s.order = append(s.order, bytes.Clone(opt.PIV))
	s.mu.Unlock()
	return s.toy.OpenRequest(m, opt, from, multicast)
}

func TestArrivalOrder(t *testing.T) {
	t.Run("requests of one remote are verified in the order they came, and served side by side", func(t *testing.T) {
		inWorld(t, endpoint.Config{}, func(t *testing.T, w *world) {
			op := &slowOpener{toy: w.sec, takes: func(piv []byte, _ netip.AddrPort) time.Duration {
				return time.Duration(piv[len(piv)-1]*37%5) * time.Millisecond
			}}
			server := start(t, endpoint.Config{
				Network: w.net, Unicast: otherAddr, Openers: []endpoint.RequestOpener{op},
				Handler: mux.HandlerFunc(func(rw mux.ResponseWriter, _ *mux.Message) {
					time.Sleep(time.Second)
					_ = rw.SetResponse(codes.Content, message.TextPlain, bytes.NewReader(nil))
				}),
			})
			const n = 300
			for i := range int32(n) {
				w.peer.send(otherAddr, w.protected(non, i, "a"))
			}
			began := time.Now()
			for range n {
				if m := w.opened(w.peer.nextMessage(time.Minute)); m.Code != codes.Content {
					t.Fatal(m.Code)
				}
			}
			if took := time.Since(began); took > 11*time.Second {
				t.Fatalf("handlers took %v", took)
			}
			for i := 1; i < n; i++ {
				if !bytes.Equal(coapmsg.EncodePIV(uint64(i)), op.order[i-1]) {
					t.Fatalf("request %d was opened in place of %d", op.order[i-1], i)
				}
			}
			server.Close()
		})
	})
	t.Run("a remote whose verification takes long holds up nobody else", func(t *testing.T) {
		inWorld(t, endpoint.Config{}, func(t *testing.T, w *world) {
			op := &slowOpener{toy: w.sec, takes: func(_ []byte, from netip.AddrPort) time.Duration {
				if from == clientAddr {
					return time.Minute
				}
				return 0
			}}
			server := start(t, endpoint.Config{Network: w.net, Unicast: otherAddr, Openers: []endpoint.RequestOpener{op}, Handler: w.res})
			for i := range int32(500) {
				w.peer.send(otherAddr, w.protected(non, i, "a"))
			}
			synctest.Wait()
			quick := listenRaw(t, w.net, netip.MustParseAddrPort("10.0.0.9:1"))
			for i := range int32(500) {
				quick.send(otherAddr, w.protected(non, 1000+i, "a"))
				if m := w.opened(quick.nextMessage(time.Millisecond)); m.Code != codes.Content {
					t.Fatal(m.Code)
				}
			}
			server.Close()
		})
	})
}

// A thousand requests in flight under one context, over real sockets: the replay
// window of 32 takes them all.
func TestThousandInFlight(t *testing.T) {
	p := oscore.Params{MasterSecret: secret.Bytes("0123456789abcdef"), SenderID: []byte{1}, RecipientID: []byte{2}}
	sctx, err := oscore.NewContext(p, oscore.NewEphemeralSequence())
	if err != nil {
		t.Fatal(err)
	}
	p.SenderID, p.RecipientID = p.RecipientID, p.SenderID
	cctx, err := oscore.NewContext(p, oscore.NewEphemeralSequence())
	if err != nil {
		t.Fatal(err)
	}
	contexts := &endpoint.Contexts{}
	if err := contexts.AddOSCORE(sctx, nil, nil); err != nil {
		t.Fatal(err)
	}
	for name, via := range map[string]endpoint.Via{"udp": endpoint.ViaUDP, "tcp": endpoint.ViaTCP} {
		t.Run(name, func(t *testing.T) {
			var served atomic.Int64
			meter := &endpoint.Counters{}
			server := start(t, endpoint.Config{
				Unicast: netip.MustParseAddrPort("127.0.0.1:0"), Openers: []endpoint.RequestOpener{contexts}, Meter: meter,
				TCP: endpoint.TCPConfig{Listen: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}},
				Handler: mux.HandlerFunc(func(rw mux.ResponseWriter, _ *mux.Message) {
					if served.Add(1)%16 == 0 {
						time.Sleep(time.Millisecond)
					}
					_ = rw.SetResponse(codes.Content, message.TextPlain, bytes.NewReader(nil))
				}),
			})
			client := start(t, endpoint.Config{Unicast: netip.MustParseAddrPort("127.0.0.1:0"), NSTART: 1000})
			to := server.ListenAddrs(via)[0]
			ctx, cancel := within(30 * time.Second)
			defer cancel()
			errs := make(chan error, 1000)
			for range 1000 {
				go func() {
					r, err := client.Do(ctx, endpoint.Request{To: to, Via: via, Code: codes.GET, Path: "a", Security: endpoint.WithOSCORE(cctx)})
					if err == nil && r.Code != codes.Content {
						err = errors.New(r.Code.String())
					}
					errs <- err
				}()
			}
			failed := 0
			for range 1000 {
				if err := <-errs; err != nil {
					failed++
					t.Log(err)
				}
			}
			if failed > 0 || served.Load() != 1000 || meter.Get(endpoint.DropUnverified) > 0 {
				t.Fatalf("%d failed, %d served, %d not verified, %d refused for want of room", failed, served.Load(),
					meter.Get(endpoint.DropUnverified), meter.Get(endpoint.DropPeerBusy)+meter.Get(endpoint.DropQueueFull))
			}
		})
	}
}
