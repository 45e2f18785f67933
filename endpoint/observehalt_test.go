package endpoint_test

import (
	"bytes"
	"net"
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

// held protects nothing. It holds up the n-th request until it is released.
type held struct {
	n       int
	reached chan struct{}
	release chan struct{}
}

func hold(n int) *held { return &held{n, make(chan struct{}), make(chan struct{})} }

func (h *held) ProtectRequest(m message.Message) (message.Message, endpoint.ResponseOpener, error) {
	if h.n--; h.n == 0 {
		close(h.reached)
		<-h.release
	}
	return m, nil, nil
}

// accepted is the next connection, after its first messages. It has to come in 15 s.
func accepted(t *testing.T, l net.Listener) *rawStream {
	t.Helper()
	late := time.AfterFunc(15*time.Second, func() { l.Close() })
	defer late.Stop()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	r := newRawStream(t, c)
	r.put(message.Message{Code: coapmsg.CSM})
	r.next(time.Second)
	return r
}

// TestObserveHalt is about registrations that are being sent when the observation
// ends.
func TestObserveHalt(t *testing.T) {
	delay := netsim.Config{Delay: 10 * time.Millisecond}
	for _, confirmable := range []bool{true, false} {
		name := map[bool]string{true: "confirmable", false: "not confirmable"}[confirmable]
		t.Run("the observation stays ended, and others have their turn: "+name, func(t *testing.T) {
			inObservatory(t, delay, open, endpoint.Config{}, func(t *testing.T, o *observatory) {
				o.opts = []message.Option{{ID: message.MaxAge, Value: []byte{1}}}
				h := hold(2)
				w := watch(t, o.client, endpoint.Request{To: serverAddr, Code: codes.GET, Path: "gauge", Security: h, Confirmable: &confirmable})
				w.want("0")
				<-h.reached
				sent := 0
				o.net.SetFilter(func(p netsim.Packet) netsim.Verdict {
					m, err := coapmsg.ParseDatagram(bytes.Clone(p.Data))
					v, ok := coapmsg.Get(m.Options, message.Observe)
					if err != nil || p.To != serverAddr || !ok || len(v) > 0 {
						return netsim.Verdict{}
					}
					sent++
					return netsim.Verdict{Drop: true} // the server hears no registration
				})
				w.cancel()
				synctest.Wait()
				close(h.release)
				<-w.done
				ctx, cancel := within(time.Second)
				defer cancel()
				if _, err := o.client.Do(ctx, endpoint.Request{To: serverAddr, Code: codes.GET, Path: "gauge"}); err != nil {
					t.Fatal("another request: ", err)
				}
				pass(5 * time.Minute)
				if sent != 1 || o.server.Observers() != 0 {
					t.Fatalf("%d registrations after the end, %d observers", sent, o.server.Observers())
				}
				if endpoint.Exchanges(o.client) != 0 || endpoint.Pending(o.client) != 0 {
					t.Fatal("something is left")
				}
			})
		})
	}
	t.Run("the token for another connection is given back", func(t *testing.T) {
		inStreamWorld(t, endpoint.Config{}, func(t *testing.T, w *streamWorld) {
			to := netip.MustParseAddrPort("10.0.0.9:5683")
			l, err := w.net.ListenStream(to)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			h := hold(2)
			seen := watch(t, w.server, endpoint.Request{To: to, Via: endpoint.ViaTCP, Code: codes.GET, Path: "x", Security: h})
			r := accepted(t, l)
			reg := r.next(time.Second)
			r.put(message.Message{Code: codes.Content, Token: reg.Token, Options: message.Options{{ID: message.Observe}}, Payload: []byte("0")})
			seen.want("0")
			r.Close()
			accepted(t, l)
			<-h.reached
			seen.cancel()
			synctest.Wait()
			close(h.release)
			<-seen.done
			pass(5 * time.Minute)
			if n := endpoint.Exchanges(w.server); n != 0 {
				t.Fatalf("%d tokens are left", n)
			}
		})
	})
}
