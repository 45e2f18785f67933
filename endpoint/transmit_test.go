package endpoint_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/internal/netsim"
)

// tape records what passes a network, and lets a filter decide.
type tape struct {
	mu      sync.Mutex
	packets []taped
	decide  func(p netsim.Packet) netsim.Verdict
}

type taped struct {
	netsim.Packet
	at time.Time
}

func record(n *netsim.Network, decide func(netsim.Packet) netsim.Verdict) *tape {
	t := &tape{decide: decide}
	n.SetFilter(func(p netsim.Packet) netsim.Verdict {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.packets = append(t.packets, taped{p, time.Now()})
		if t.decide == nil {
			return netsim.Verdict{}
		}
		return t.decide(p)
	})
	return t
}

// to returns what was sent to an address.
func (t *tape) to(r *raw) []taped { return t.between(r.LocalAddr().String()) }

func (t *tape) between(receiver string) []taped {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []taped
	for _, p := range t.packets {
		if p.Receiver.String() == receiver {
			out = append(out, p)
		}
	}
	return out
}

func TestRetransmission(t *testing.T) {
	t.Run("O12 retransmissions double a random timeout and are identical", func(t *testing.T) {
		firsts := map[time.Duration]bool{}
		for range 8 {
			synctest.Test(t, func(t *testing.T) {
				n := netsim.New(netsim.Config{})
				silent := listenRaw(t, n, serverAddr)
				tp := record(n, nil)
				client := start(t, endpoint.Config{Network: n, Unicast: clientAddr})
				sec := &toy{id: 2}
				_, err := client.Do(context.Background(), endpoint.Request{To: serverAddr, Code: codes.GET, Path: "a", Security: sec})
				if !errors.Is(err, endpoint.ErrTimeout) {
					t.Fatal(err)
				}
				sent := tp.to(silent)
				if len(sent) != 5 || sec.seq.Load() != 1 {
					t.Fatalf("%d transmissions, %d sequence numbers", len(sent), sec.seq.Load())
				}
				wait := sent[1].at.Sub(sent[0].at)
				if wait < 2*time.Second || wait > 3*time.Second {
					t.Fatalf("first retransmission after %v", wait)
				}
				firsts[wait] = true
				for i := 1; i < len(sent); i++ {
					if !bytes.Equal(sent[i].Data, sent[0].Data) {
						t.Fatal("a retransmission differs")
					}
					if d := sent[i].at.Sub(sent[i-1].at); d != wait<<(i-1) {
						t.Fatalf("retransmission %d after %v, first after %v", i, d, wait)
					}
				}
				if d := time.Since(sent[4].at); d != wait<<4 {
					t.Fatalf("gave up after %v", d)
				}
			})
		}
		if len(firsts) < 2 {
			t.Fatal("the timeout is not random")
		}
	})
	t.Run("loss of every third datagram is overcome without serving twice", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n := netsim.New(netsim.Config{Delay: time.Millisecond})
			record(n, func(p netsim.Packet) netsim.Verdict { return netsim.Verdict{Drop: p.N%3 == 1} })
			res, sec := newResources(), &toy{id: 2}
			start(t, endpoint.Config{Network: n, Unicast: serverAddr, Handler: res, Openers: []endpoint.RequestOpener{&toy{id: 1}}})
			client := start(t, endpoint.Config{Network: n, Unicast: clientAddr})
			for i := int64(1); i <= 5; i++ {
				resp, err := client.Do(context.Background(), endpoint.Request{To: serverAddr, Code: codes.POST, Path: "a", Security: sec})
				if err != nil || string(resp.Payload) != fmt.Sprintf("%d:2:", i) {
					t.Fatalf("%+v %v", resp, err)
				}
			}
			if res.runs.Load() != 5 || sec.seq.Load() != 5 {
				t.Fatalf("%d runs, %d sequence numbers", res.runs.Load(), sec.seq.Load())
			}
		})
	})
	t.Run("random loss, duplication and reordering", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n := netsim.New(netsim.Config{Seed: 5, Loss: 0.2, Duplicate: 0.3, Delay: 10 * time.Millisecond, Jitter: 3 * time.Second})
			res := newResources()
			start(t, endpoint.Config{Network: n, Unicast: serverAddr, MaxRetransmit: 8, Handler: res, Openers: []endpoint.RequestOpener{&toy{id: 1}}})
			client := start(t, endpoint.Config{Network: n, Unicast: clientAddr, MaxRetransmit: 8, NSTART: 20})
			sec := &toy{id: 2}
			var wg sync.WaitGroup
			for i := range 200 {
				wg.Go(func() {
					body := fmt.Appendf(nil, "body %d", i)
					resp, err := client.Do(context.Background(), endpoint.Request{To: serverAddr, Code: codes.POST, Path: "a", Payload: body, Security: sec})
					if err != nil || !bytes.HasSuffix(resp.Payload, body) {
						t.Errorf("%+v %v", resp, err)
					}
				})
			}
			wg.Wait()
			if res.runs.Load() != 200 {
				t.Fatalf("%d runs", res.runs.Load())
			}
		})
	})
}

func TestClientMessages(t *testing.T) {
	// server answers by hand what the client sends.
	run := func(t *testing.T, cfg endpoint.Config, f func(t *testing.T, client *endpoint.Endpoint, server *raw)) {
		synctest.Test(t, func(t *testing.T) {
			n := netsim.New(netsim.Config{})
			server := listenRaw(t, n, serverAddr)
			cfg.Network, cfg.Unicast = n, clientAddr
			f(t, start(t, cfg), server)
		})
	}
	ask := func(client *endpoint.Endpoint, r endpoint.Request) chan error {
		done := make(chan error, 1)
		r.To, r.Code, r.Path = serverAddr, codes.GET, "a"
		go func() {
			_, err := client.Do(context.Background(), r)
			done <- err
		}()
		return done
	}
	response := func(req message.Message, typ message.Type, mid int32) message.Message {
		return message.Message{Type: typ, MessageID: mid, Token: req.Token, Code: codes.Content, Payload: []byte("x")}
	}
	t.Run("empty ACK stops retransmission, separate CON response is acknowledged, also its copies", func(t *testing.T) {
		run(t, endpoint.Config{}, func(t *testing.T, client *endpoint.Endpoint, server *raw) {
			done := ask(client, endpoint.Request{})
			req := server.nextMessage(time.Second)
			server.send(clientAddr, encode(t, message.Message{Type: message.Acknowledgement, MessageID: req.MessageID}))
			server.nothing(200 * time.Second)
			sep := encode(t, response(req, message.Confirmable, 77))
			for range 3 {
				server.send(clientAddr, sep)
				if ack := server.nextMessage(time.Second); ack.Type != message.Acknowledgement || ack.MessageID != 77 || ack.Code != codes.Empty {
					t.Fatalf("%+v", ack)
				}
			}
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		})
	})
	t.Run("a separate response before the ACK ends the request", func(t *testing.T) {
		run(t, endpoint.Config{}, func(t *testing.T, client *endpoint.Endpoint, server *raw) {
			done := ask(client, endpoint.Request{})
			req := server.nextMessage(time.Second)
			server.send(clientAddr, encode(t, response(req, message.NonConfirmable, 9)))
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			server.nothing(100 * time.Second)
		})
	})
	t.Run("RST ends a CON and a NON request", func(t *testing.T) {
		for _, con := range []bool{true, false} {
			run(t, endpoint.Config{}, func(t *testing.T, client *endpoint.Endpoint, server *raw) {
				done := ask(client, endpoint.Request{Confirmable: &con})
				req := server.nextMessage(time.Second)
				server.send(clientAddr, encode(t, message.Message{Type: message.Reset, MessageID: req.MessageID}))
				if err := <-done; !errors.Is(err, endpoint.ErrReset) {
					t.Fatal(err)
				}
			})
		}
	})
	t.Run("unexpected CON response gets RST, NON and ACK nothing", func(t *testing.T) {
		meter := &endpoint.Counters{}
		run(t, endpoint.Config{Meter: meter}, func(t *testing.T, _ *endpoint.Endpoint, server *raw) {
			m := message.Message{Type: message.Confirmable, MessageID: 5, Token: []byte("12345678"), Code: codes.Content}
			server.send(clientAddr, encode(t, m))
			if rst := server.nextMessage(time.Second); rst.Type != message.Reset || rst.MessageID != 5 {
				t.Fatalf("%+v", rst)
			}
			for _, typ := range []message.Type{message.NonConfirmable, message.Acknowledgement} {
				m.Type = typ
				server.send(clientAddr, encode(t, m))
			}
			server.nothing(time.Second)
			if meter.Get(endpoint.DropUnexpected) != 3 {
				t.Fatal(meter.Get(endpoint.DropUnexpected))
			}
		})
	})
	t.Run("a response from another address or with another token is not taken", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n := netsim.New(netsim.Config{})
			server, other := listenRaw(t, n, serverAddr), listenRaw(t, n, otherAddr)
			client := start(t, endpoint.Config{Network: n, Unicast: clientAddr})
			done := ask(client, endpoint.Request{Confirmable: ptr(false)})
			req := server.nextMessage(time.Second)
			if len(req.Token) != 8 {
				t.Fatalf("token %x", req.Token)
			}
			other.send(clientAddr, encode(t, response(req, message.NonConfirmable, 1)))
			forged := response(req, message.NonConfirmable, 2)
			forged.Token = append([]byte{}, req.Token...)
			forged.Token[0] ^= 1
			server.send(clientAddr, encode(t, forged))
			synctest.Wait()
			select {
			case err := <-done:
				t.Fatal("ended", err)
			default:
			}
			server.send(clientAddr, encode(t, response(req, message.NonConfirmable, 3)))
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		})
	})
	t.Run("response with an unknown critical option is not taken", func(t *testing.T) {
		run(t, endpoint.Config{}, func(t *testing.T, client *endpoint.Endpoint, server *raw) {
			done := ask(client, endpoint.Request{Confirmable: ptr(false)})
			req := server.nextMessage(time.Second)
			m := response(req, message.NonConfirmable, 1)
			m.Options = message.Options{{ID: 9999}}
			server.send(clientAddr, encode(t, m))
			if err := <-done; !errors.Is(err, endpoint.ErrNoResponse) {
				t.Fatal(err)
			}
		})
	})
	t.Run("NSTART requests are outstanding to one peer, the next waits", func(t *testing.T) {
		run(t, endpoint.Config{NSTART: 2}, func(t *testing.T, client *endpoint.Endpoint, server *raw) {
			var done []chan error
			for range 3 {
				done = append(done, ask(client, endpoint.Request{}))
			}
			a := server.nextMessage(time.Second)
			server.nextMessage(time.Second)
			server.nothing(time.Second)
			server.send(clientAddr, encode(t, response(a, message.Acknowledgement, a.MessageID)))
			third := server.nextMessage(time.Second)
			if third.MessageID == a.MessageID || bytes.Equal(third.Token, a.Token) {
				t.Fatal("not a new request")
			}
			synctest.Wait() // the call that got its response has returned
			client.Close()
			closed := 0
			for _, d := range done {
				if errors.Is(<-d, endpoint.ErrClosed) {
					closed++
				}
			}
			if closed != 2 {
				t.Fatalf("%d calls were interrupted by Close", closed)
			}
		})
	})
	t.Run("a canceled caller in the NSTART queue leaves it", func(t *testing.T) {
		run(t, endpoint.Config{}, func(t *testing.T, client *endpoint.Endpoint, server *raw) {
			first := ask(client, endpoint.Request{})
			req := server.nextMessage(time.Second)
			ctx, cancel := within(100 * time.Millisecond)
			defer cancel()
			if _, err := client.Do(ctx, endpoint.Request{To: serverAddr, Code: codes.GET}); !errors.Is(err, context.DeadlineExceeded) {
				t.Fatal(err)
			}
			server.send(clientAddr, encode(t, response(req, message.Acknowledgement, req.MessageID)))
			if err := <-first; err != nil {
				t.Fatal(err)
			}
			second := ask(client, endpoint.Request{Confirmable: ptr(false)})
			req = server.nextMessage(time.Second)
			server.send(clientAddr, encode(t, response(req, message.NonConfirmable, 3)))
			if err := <-second; err != nil {
				t.Fatal(err)
			}
		})
	})
	t.Run("outstanding requests are bounded", func(t *testing.T) {
		run(t, endpoint.Config{Exchanges: 1, NSTART: 5}, func(t *testing.T, client *endpoint.Endpoint, server *raw) {
			ask(client, endpoint.Request{})
			server.nextMessage(time.Second)
			if _, err := client.Do(context.Background(), endpoint.Request{To: serverAddr, Code: codes.GET}); !errors.Is(err, endpoint.ErrBusy) {
				t.Fatal(err)
			}
			client.Close()
		})
	})
	t.Run("who wants no response is done when the request is acknowledged or sent", func(t *testing.T) {
		run(t, endpoint.Config{}, func(t *testing.T, client *endpoint.Endpoint, server *raw) {
			none := message.Options{{ID: coapmsg.NoResponse, Value: []byte{26}}}
			for range 20 { // silence is no reason to hold back either
				if err := <-ask(client, endpoint.Request{Options: none, Confirmable: ptr(false), Payload: make([]byte, 50)}); err != nil {
					t.Fatal(err)
				}
				server.nextMessage(time.Second)
			}
			done := ask(client, endpoint.Request{Options: none})
			req := server.nextMessage(time.Second)
			server.send(clientAddr, encode(t, message.Message{Type: message.Acknowledgement, MessageID: req.MessageID}))
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		})
	})
	t.Run("a peer that never answers NON requests is not flooded", func(t *testing.T) {
		run(t, endpoint.Config{}, func(t *testing.T, client *endpoint.Endpoint, server *raw) {
			ctx, cancel := within(time.Millisecond)
			defer cancel()
			var err error
			for range 10 {
				if _, err = client.Do(ctx, endpoint.Request{To: serverAddr, Code: codes.GET, Confirmable: ptr(false)}); errors.Is(err, endpoint.ErrProbing) {
					break
				}
				ctx, cancel = within(time.Millisecond)
				defer cancel()
			}
			if !errors.Is(err, endpoint.ErrProbing) {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			done := ask(client, endpoint.Request{Confirmable: ptr(false)})
			for {
				req := server.nextMessage(time.Second)
				server.send(clientAddr, encode(t, response(req, message.NonConfirmable, 9)))
				select {
				case err = <-done:
				case <-time.After(time.Second):
					continue
				}
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		})
	})
	t.Run("OS-8.4-5 unprotected success is dropped, an unprotected error is reported as such", func(t *testing.T) {
		run(t, endpoint.Config{}, func(t *testing.T, client *endpoint.Endpoint, server *raw) {
			done := ask(client, endpoint.Request{Security: &toy{id: 2}, Confirmable: ptr(false)})
			req := server.nextMessage(time.Second)
			server.send(clientAddr, encode(t, response(req, message.NonConfirmable, 1)))
			synctest.Wait()
			m := response(req, message.NonConfirmable, 2)
			m.Code, m.Payload = codes.Unauthorized, []byte("Security context not found")
			server.send(clientAddr, encode(t, m))
			var u *endpoint.UnprotectedError
			if err := <-done; !errors.As(err, &u) || u.Code != codes.Unauthorized || u.Diagnostic != string(m.Payload) || u.From != serverAddr {
				t.Fatal(err)
			}
		})
	})
	t.Run("OS-8.4-3 a forged response is dropped and the real one taken", func(t *testing.T) {
		run(t, endpoint.Config{}, func(t *testing.T, client *endpoint.Endpoint, server *raw) {
			done := ask(client, endpoint.Request{Security: &toy{id: 2}})
			req := server.nextMessage(time.Second)
			forged := response(req, message.NonConfirmable, 1)
			forged.Options = message.Options{{ID: coapmsg.OSCORE, Value: coapmsg.OSCOREOption{KID: []byte{1}, PIV: []byte{1}}.Append(nil)}}
			server.send(clientAddr, encode(t, forged))
			synctest.Wait()
			real, err := (&toy{id: 1}).protect(message.Message{Code: codes.Content}, codes.Changed)
			if err != nil {
				t.Fatal(err)
			}
			real.Token, real.Type, real.MessageID = req.Token, message.Acknowledgement, req.MessageID
			server.send(clientAddr, encode(t, real))
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		})
	})
}
