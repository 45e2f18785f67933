package endpoint_test

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/coapmsg"
)

func TestTCPSignals(t *testing.T) {
	t.Run("Ping is answered by Pong with its token; empty messages and unknown signals are ignored", func(t *testing.T) {
		inStreamWorld(t, endpoint.Config{}, func(t *testing.T, w *streamWorld) {
			r := greeted(t, w.net, serverAddr)
			r.write([]byte{0, 0})
			r.write([]byte{0x11, 0, 'x', 0xff})
			r.put(message.Message{Code: 7<<5 | 9})
			r.put(message.Message{Code: coapmsg.CSM})
			r.put(message.Message{Code: coapmsg.Pong})
			r.put(message.Message{Code: coapmsg.Ping, Token: message.Token("tok"), Options: message.Options{{ID: coapmsg.PingCustody}}})
			if m := r.next(time.Second); m.Code != coapmsg.Pong || string(m.Token) != "tok" || len(m.Options) != 0 {
				t.Fatalf("%+v", m)
			}
		})
	})
	for name, c := range map[string]struct {
		greet bool
		put   []byte
		bad   []byte // Bad-CSM-Option
	}{
		"a request before the CSM":                    {false, []byte{0, 1}, nil},
		"a CSM with an unknown critical option":       {false, []byte{0x10, 0xe1, 0x30}, []byte{3}},
		"a CSM with a size of five bytes":             {false, []byte{0x60, 0xe1, 0x25, 1, 1, 1, 1, 1}, []byte{2}},
		"a CSM with a size nothing fits in":           {false, []byte{0x20, 0xe1, 0x21, 9}, []byte{2}},
		"a CSM with a value for block-wise transfers": {true, []byte{0x20, 0xe1, 0x41, 9}, []byte{4}},
		"a Ping with an unknown critical option":      {true, []byte{0x10, 0xe2, 0x10}, nil},
		"a token length of 9":                         {true, []byte{0x09, 1}, nil},
		"an option that is cut off":                   {true, []byte{0x10, 1, 0xb1}, nil},
		"a signal that is cut off":                    {true, []byte{0x10, 0xe2, 0xb1}, nil},
		"a message that is longer than announced":     {true, []byte{0xf0, 0, 1, 0, 0, 1}, nil},
		"a token that is longer than announced":       {true, append([]byte{0x0e, 1, 0, 0}, make([]byte, 269)...), nil},
	} {
		t.Run("Abort answers "+name, func(t *testing.T) {
			inStreamWorld(t, endpoint.Config{}, func(t *testing.T, w *streamWorld) {
				r := connect(t, w.net, serverAddr)
				r.next(time.Second)
				if c.greet {
					r.put(message.Message{Code: coapmsg.CSM})
				}
				r.write(c.put)
				m := r.next(time.Second)
				bad, has := coapmsg.Get(m.Options, coapmsg.AbortBadCSMOption)
				if m.Code != coapmsg.Abort || len(m.Payload) == 0 || has != (c.bad != nil) || !bytes.Equal(bad, c.bad) {
					t.Fatalf("%+v", m)
				}
				r.ended(time.Second)
				if n := w.meter.Get(endpoint.DropAborted); n != 1 || w.res.runs.Load() != 0 {
					t.Fatalf("%d aborted", n)
				}
			})
		})
	}
	t.Run("Release lets what was asked be answered, then the connection ends", func(t *testing.T) {
		inStreamWorld(t, endpoint.Config{}, func(t *testing.T, w *streamWorld) {
			r := greeted(t, w.net, serverAddr)
			r.get("1", "slow")
			r.put(message.Message{Code: coapmsg.Release})
			r.nothing(time.Minute)
			close(w.res.release)
			if m := r.next(time.Second); string(m.Token) != "1" {
				t.Fatalf("%+v", m)
			}
			r.ended(time.Second)
		})
	})
	t.Run("Abort ends the connection", func(t *testing.T) {
		inStreamWorld(t, endpoint.Config{}, func(t *testing.T, w *streamWorld) {
			r := greeted(t, w.net, serverAddr)
			r.put(message.Message{Code: coapmsg.Abort, Payload: []byte("why")})
			r.ended(time.Second)
		})
	})
	t.Run("an endpoint that is closed says Release", func(t *testing.T) {
		inStreamWorld(t, endpoint.Config{}, func(t *testing.T, w *streamWorld) {
			r := greeted(t, w.net, serverAddr)
			w.server.Close()
			if m := r.next(time.Second); m.Code != coapmsg.Release {
				t.Fatalf("%+v", m)
			}
			r.ended(time.Second)
		})
	})
}

func TestTCPTime(t *testing.T) {
	t.Run("who does not greet, or does not go on with a message, is aborted in time", func(t *testing.T) {
		inStreamWorld(t, endpoint.Config{}, func(t *testing.T, w *streamWorld) {
			mute, slow := connect(t, w.net, serverAddr), greeted(t, w.net, serverAddr)
			mute.next(time.Second)
			done := make(chan struct{})
			defer func() { <-done }()
			go func() {
				defer close(done)
				for range 20 {
					time.Sleep(time.Second)
					if _, err := slow.Write([]byte{0xd0}); err != nil {
						return
					}
				}
			}()
			for _, r := range []*rawStream{mute, slow} {
				if m := r.next(12 * time.Second); m.Code != coapmsg.Abort {
					t.Fatalf("%+v", m)
				}
				r.ended(time.Second)
			}
		})
	})
	t.Run("an idle peer is pinged; without a Pong the connection ends", func(t *testing.T) {
		inStreamWorld(t, endpoint.Config{}, func(t *testing.T, w *streamWorld) {
			r := greeted(t, w.net, serverAddr)
			for range 3 {
				r.nothing(5*time.Minute - time.Second)
				if m := r.next(2 * time.Second); m.Code != coapmsg.Ping {
					t.Fatalf("%+v", m)
				}
				r.put(message.Message{Code: coapmsg.Pong})
			}
			if m := r.next(6 * time.Minute); m.Code != coapmsg.Ping {
				t.Fatalf("%+v", m)
			}
			r.ended(11 * time.Second)
		})
	})
	t.Run("a connection that this endpoint opened and does not use is released", func(t *testing.T) {
		inStreamWorld(t, endpoint.Config{}, func(t *testing.T, w *streamWorld) {
			addr := netip.MustParseAddrPort("10.0.0.9:5683")
			l, err := w.net.ListenStream(addr)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go func() {
				ctx, cancel := within(time.Second)
				defer cancel()
				_, _ = w.server.Do(ctx, endpoint.Request{To: addr, Via: endpoint.ViaTCP, Code: codes.GET})
			}()
			c, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			r := newRawStream(t, c)
			r.put(message.Message{Code: coapmsg.CSM})
			for _, want := range []codes.Code{coapmsg.CSM, codes.GET, coapmsg.Release} {
				if m := r.next(6 * time.Minute); m.Code != want {
					t.Fatalf("%+v", m)
				}
			}
			r.ended(time.Second)
		})
	})
}
