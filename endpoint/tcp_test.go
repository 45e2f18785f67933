package endpoint_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/mux"

	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/internal/netsim"
)

// streamWorld is a server with connections.
type streamWorld struct {
	net    *streams
	res    *resources
	sec    *toy
	meter  *endpoint.Counters
	server *endpoint.Endpoint
}

func inStreamWorld(t *testing.T, cfg endpoint.Config, f func(t *testing.T, w *streamWorld)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &streamWorld{net: newStreams(netsim.New(netsim.Config{})), res: newResources(), sec: &toy{id: 1}, meter: &endpoint.Counters{}}
		cfg.Network, cfg.Unicast, cfg.Handler, cfg.Meter = w.net, serverAddr, w.res, w.meter
		cfg.Openers = []endpoint.RequestOpener{w.sec}
		cfg.TCP.Listen = []netip.AddrPort{serverAddr}
		w.server = start(t, cfg)
		f(t, w)
	})
}

func csmOption(id message.OptionID, v uint32) message.Option {
	return message.Option{ID: id, Value: coapmsg.EncodeUint(v)}
}

func TestTCPMessages(t *testing.T) {
	t.Run("OS-4.2-3 every method, plain and protected, in connections between endpoints", func(t *testing.T) {
		inStreamWorld(t, endpoint.Config{}, func(t *testing.T, w *streamWorld) {
			client := start(t, endpoint.Config{Network: w.net, Unicast: clientAddr})
			run := 0
			for _, sec := range []endpoint.Protector{nil, &toy{id: 2}} {
				for code := codes.Code(1); code <= 7; code++ {
					run++
					ctx, cancel := within(time.Second)
					resp, err := client.Do(ctx, endpoint.Request{To: serverAddr, Via: endpoint.ViaTCP, Code: code, Path: "/a", Payload: []byte("hello"), Security: sec})
					cancel()
					if err != nil {
						t.Fatalf("method %v: %v", code, err)
					}
					if want := fmt.Sprintf("%d:%d:hello", run, code); resp.Code != codes.Content || string(resp.Payload) != want {
						t.Fatalf("got %v %q, want %q", resp.Code, resp.Payload, want)
					}
					if resp.Peer.Addr != serverAddr || resp.Peer.Via != endpoint.ViaTCP || (resp.Peer.Mode == endpoint.Plain) != (sec == nil) {
						t.Fatalf("peer %+v", resp.Peer)
					}
				}
			}
		})
	})
	t.Run("the first message is a CSM that says what is possible", func(t *testing.T) {
		inStreamWorld(t, endpoint.Config{}, func(t *testing.T, w *streamWorld) {
			m := connect(t, w.net, serverAddr).next(time.Second)
			want := message.Options{csmOption(coapmsg.CSMMaxMessageSize, 65536), {ID: coapmsg.CSMBlockWiseTransfer}, csmOption(coapmsg.CSMExtendedTokenLength, 256)}
			if m.Code != coapmsg.CSM || fmt.Sprintf("%d %x", m.Options, m.Options) != fmt.Sprintf("%d %x", want, want) {
				t.Fatalf("%+v", m)
			}
		})
	})
	t.Run("responses come in any order and copies are served again", func(t *testing.T) {
		inStreamWorld(t, endpoint.Config{}, func(t *testing.T, w *streamWorld) {
			r := greeted(t, w.net, serverAddr)
			r.get("1", "slow")
			r.get("2", "a")
			if m := r.next(time.Second); string(m.Token) != "2" || string(m.Payload) != "1:1:" && string(m.Payload) != "2:1:" {
				t.Fatalf("%+v", m)
			}
			r.nothing(time.Minute)
			close(w.res.release)
			if m := r.next(time.Second); string(m.Token) != "1" {
				t.Fatalf("%+v", m)
			}
			r.get("2", "a")
			if m := r.next(time.Second); string(m.Payload) != "3:1:" {
				t.Fatalf("%q", m.Payload)
			}
		})
	})
	t.Run("errors are answered: unknown options, unknown paths, what does not decrypt", func(t *testing.T) {
		inStreamWorld(t, endpoint.Config{}, func(t *testing.T, w *streamWorld) {
			r := greeted(t, w.net, serverAddr)
			for _, c := range []struct {
				m    message.Message
				code codes.Code
			}{
				{message.Message{Code: codes.GET, Options: message.Options{{ID: 9999}}}, codes.BadOption},
				{message.Message{Code: codes.GET, Options: message.Options{{ID: message.URIPath, Value: []byte("no")}}}, codes.NotFound},
				{message.Message{Code: codes.GET, Options: message.Options{{ID: message.URIPath, Value: []byte("secret")}}}, codes.Unauthorized},
				{message.Message{Code: codes.GET, Options: message.Options{{ID: message.ProxyScheme, Value: []byte("coap")}}}, codes.ProxyingNotSupported},
				{message.Message{Code: codes.POST, Options: message.Options{{ID: coapmsg.OSCORE, Value: []byte{9, 1, 2}}}, Payload: make([]byte, 20)}, codes.BadRequest},
				{message.Message{Code: codes.POST, Options: message.Options{{ID: coapmsg.OSCORE, Value: []byte{9, 1, 0xff}}}, Payload: make([]byte, 20)}, codes.Unauthorized},
			} {
				c.m.Token = message.Token("tk")
				r.put(c.m)
				if m := r.next(time.Second); m.Code != c.code || string(m.Token) != "tk" {
					t.Fatalf("%+v is answered with %+v", c.m, m)
				}
			}
		})
	})
	t.Run("a response that is longer than the peer takes comes in blocks that it takes, or becomes 5.00", func(t *testing.T) {
		inStreamWorld(t, endpoint.Config{}, func(t *testing.T, w *streamWorld) {
			w.res.Handle("/long", endpoint.AcceptPlain, mux.HandlerFunc(func(rw mux.ResponseWriter, m *mux.Message) {
				_ = rw.SetResponse(codes.Created, 0, nil, message.Option{ID: message.LocationPath, Value: make([]byte, 250)}, message.Option{ID: message.LocationPath, Value: make([]byte, 250)})
			}))
			r := greeted(t, w.net, serverAddr, csmOption(coapmsg.CSMMaxMessageSize, 300))
			m := message.Message{Code: codes.POST, Token: []byte{1}, Options: message.Options{{ID: message.URIPath, Value: []byte("a")}}, Payload: make([]byte, 1152)}
			r.put(m)
			if m := r.next(time.Second); m.Code != codes.Content || len(m.Payload) != 128 || !coapmsg.Has(m.Options, message.Block2) {
				t.Fatalf("%+v", m)
			}
			r.get("2", "long")
			if m := r.next(time.Second); m.Code != codes.InternalServerError || string(m.Token) != "2" {
				t.Fatalf("%+v", m)
			}
			r.put(message.Message{Code: coapmsg.CSM, Options: message.Options{csmOption(coapmsg.CSMMaxMessageSize, 2000)}})
			r.put(m)
			if m := r.next(time.Second); m.Code != codes.Content || len(m.Payload) < 1152 {
				t.Fatalf("%+v", m)
			}
		})
	})
	t.Run("a message may arrive in single bytes or many at once", func(t *testing.T) {
		inStreamWorld(t, endpoint.Config{}, func(t *testing.T, w *streamWorld) {
			r := greeted(t, w.net, serverAddr, csmOption(coapmsg.CSMMaxMessageSize, 30000))
			var all []byte
			for i := range 5 {
				b, _ := coapmsg.AppendFrame(nil, message.Message{Code: codes.POST, Token: []byte{byte(i)}, Options: message.Options{{ID: message.URIPath, Value: []byte("a")}}, Payload: bytes.Repeat([]byte{'x'}, i*5000)})
				all = append(all, b...)
			}
			for _, c := range all[:1000] {
				r.write([]byte{c})
			}
			r.write(all[1000:])
			seen := map[byte]int{}
			for range 5 {
				m := r.next(time.Second)
				_, body, _ := strings.Cut(string(m.Payload), ":2:")
				seen[m.Token[0]] = len(body)
			}
			for i := range 5 {
				if seen[byte(i)] != i*5000 {
					t.Fatal(seen)
				}
			}
		})
	})
}

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

func TestTCPBounds(t *testing.T) {
	t.Run("O9 a peer that does not read loses its connection and delays nobody", func(t *testing.T) {
		inStreamWorld(t, endpoint.Config{TCP: endpoint.TCPConfig{SendBuffer: 4096}}, func(t *testing.T, w *streamWorld) {
			deaf, err := w.net.DialStream(t.Context(), serverAddr)
			if err != nil {
				t.Fatal(err)
			}
			defer deaf.Close()
			other := greeted(t, w.net, serverAddr)
			b, _ := coapmsg.AppendFrame(nil, message.Message{Code: coapmsg.CSM})
			ping, _ := coapmsg.AppendFrame(nil, message.Message{Code: coapmsg.Ping, Token: []byte("12345678")})
			n, _ := deaf.Write(append(b, bytes.Repeat(ping, 1000)...))
			if n == 0 {
				t.Fatal("nothing was taken")
			}
			other.get("1", "a")
			began := time.Now()
			if m := other.next(time.Second); m.Code != codes.Content || time.Since(began) > 0 {
				t.Fatalf("%+v after %v", m, time.Since(began))
			}
			if _, err := deaf.Write(ping); err == nil {
				t.Fatal("still open")
			}
			if n := w.meter.Get(endpoint.DropConnection); n != 1 {
				t.Fatalf("%d dropped", n)
			}
		})
	})
	t.Run("O9 one peer's slow requests do not keep others from being served, and it is told 5.03", func(t *testing.T) {
		inStreamWorld(t, endpoint.Config{Workers: 4}, func(t *testing.T, w *streamWorld) {
			r, other := greeted(t, w.net, serverAddr), greeted(t, w.net, serverAddr)
			for i := range 5 {
				r.get(string(rune('a'+i)), "slow")
			}
			other.get("1", "a")
			if m := other.next(time.Second); m.Code != codes.Content {
				t.Fatalf("%+v", m)
			}
			for _, want := range []string{"d", "e"} {
				if m := r.next(2 * time.Second); m.Code != codes.ServiceUnavailable || string(m.Token) != want {
					t.Fatalf("%+v", m)
				}
			}
			close(w.res.release)
			for range 3 {
				if m := r.next(time.Second); m.Code != codes.Content {
					t.Fatalf("%+v", m)
				}
			}
			for i := range 30 { // more at once than are served at once
				r.get(string(rune('A'+i)), "a")
			}
			for range 30 {
				if m := r.next(time.Second); m.Code != codes.Content {
					t.Fatalf("%+v", m)
				}
			}
		})
	})
	t.Run("O21 connections are bounded, in all and for one host; idle ones make room", func(t *testing.T) {
		inStreamWorld(t, endpoint.Config{TCP: endpoint.TCPConfig{MaxConnections: 6, PerHost: 4}}, func(t *testing.T, w *streamWorld) {
			var first []*rawStream
			for range 4 {
				first = append(first, greeted(t, w.net, serverAddr))
			}
			connect(t, w.net, serverAddr).ended(time.Second) // a fifth of one host
			time.Sleep(time.Second)
			first[0].get("1", "slow")
			first[1].put(message.Message{Code: coapmsg.Ping})
			first[1].next(time.Second)
			w.net.host = netip.MustParseAddr("10.0.0.7")
			second := []*rawStream{greeted(t, w.net, serverAddr), greeted(t, w.net, serverAddr)}
			w.net.host = netip.MustParseAddr("10.0.0.8")
			connect(t, w.net, serverAddr).ended(time.Second) // nothing is idle for long
			time.Sleep(30 * time.Second)
			third := greeted(t, w.net, serverAddr)
			for i, r := range first {
				if i == 2 || i == 3 {
					select {
					case b, ok := <-r.in:
						if m, _ := coapmsg.ParseFrame(b); ok && m.Code != coapmsg.Release {
							t.Fatalf("%+v", m)
						}
						first[i] = nil
					default:
					}
				}
			}
			if (first[2] == nil) == (first[3] == nil) {
				t.Fatal("not one of the two that were idle for longest was ended")
			}
			for _, r := range append(second, third, first[0], first[1]) {
				r.put(message.Message{Code: coapmsg.Ping})
				if m := r.next(time.Second); m.Code != coapmsg.Pong {
					t.Fatalf("%+v", m)
				}
			}
		})
	})
	t.Run("memory is taken for what came, not for what was announced", func(t *testing.T) {
		inStreamWorld(t, endpoint.Config{TCP: endpoint.TCPConfig{MaxConnections: 200, PerHost: 200, MaxMessageSize: 1 << 20}}, func(t *testing.T, w *streamWorld) {
			before := measure()
			for range 200 {
				greeted(t, w.net, serverAddr).write([]byte{0xf0, 0, 0x0e, 0, 0, 2})
			}
			if after := measure(); after.heap > before.heap+8<<20 {
				t.Fatalf("%+v after %+v", after, before)
			}
		})
	})
}

func TestTCPClient(t *testing.T) {
	t.Run("requests share one connection; responses find theirs", func(t *testing.T) {
		inStreamWorld(t, endpoint.Config{}, func(t *testing.T, w *streamWorld) {
			client := start(t, endpoint.Config{Network: w.net, Unicast: clientAddr})
			results := make(chan string)
			for i := range 20 {
				go func() {
					ctx, cancel := within(time.Second)
					defer cancel()
					r, err := client.Do(ctx, endpoint.Request{To: serverAddr, Via: endpoint.ViaTCP, Code: codes.POST, Path: "a", Payload: fmt.Append(nil, i)})
					if err != nil {
						results <- err.Error()
						return
					}
					_, body, _ := strings.Cut(string(r.Payload), ":2:")
					results <- body
				}()
			}
			seen := map[string]bool{}
			for range 20 {
				seen[<-results] = true
			}
			if len(seen) != 20 || !seen["0"] || !seen["19"] || w.net.port != 50001 {
				t.Fatal(seen, w.net.port)
			}
		})
	})
	t.Run("calls end with ErrConnection when the connection ends, and the next call opens one", func(t *testing.T) {
		inStreamWorld(t, endpoint.Config{}, func(t *testing.T, w *streamWorld) {
			client := start(t, endpoint.Config{Network: w.net, Unicast: clientAddr})
			addr := netip.MustParseAddrPort("10.0.0.9:5683")
			ask := func(code codes.Code) error {
				ctx, cancel := within(time.Minute)
				defer cancel()
				_, err := client.Do(ctx, endpoint.Request{To: addr, Via: endpoint.ViaTCP, Code: code})
				return err
			}
			if err := ask(codes.GET); !errors.Is(err, endpoint.ErrConnection) {
				t.Fatal(err)
			}
			l, err := w.net.ListenStream(addr)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			for _, end := range []message.Message{{Code: coapmsg.Abort, Payload: []byte("no")}, {}} {
				failed := make(chan error)
				go func() { failed <- ask(codes.GET) }()
				c, err := l.Accept()
				if err != nil {
					t.Fatal(err)
				}
				r := newRawStream(t, c)
				r.put(message.Message{Code: coapmsg.CSM})
				r.next(time.Second)
				r.next(time.Second)
				if end.Code == coapmsg.Abort {
					r.put(end)
				} else {
					r.Close()
				}
				if err := <-failed; !errors.Is(err, endpoint.ErrConnection) {
					t.Fatal(err)
				}
			}
		})
	})
	t.Run("bodies go in one message if the peer takes it, and in blocks if not", func(t *testing.T) {
		inStreamWorld(t, endpoint.Config{}, func(t *testing.T, w *streamWorld) {
			for _, c := range []struct{ body, limit int }{{60000, 0}, {70000, 0}, {3000, 2000}} {
				client := start(t, endpoint.Config{Network: w.net, Unicast: clientAddr, TCP: endpoint.TCPConfig{MaxMessageSize: c.limit}})
				ctx, cancel := within(time.Minute)
				r := endpoint.Request{To: serverAddr, Via: endpoint.ViaTCP, Code: codes.POST, Path: "a", Payload: bytes.Repeat([]byte("x"), c.body), Security: &toy{id: 2}}
				resp, err := client.Do(ctx, r)
				if err != nil || len(resp.Payload) != c.body+4 {
					t.Fatalf("%+v %v", resp, err)
				}
				cancel()
				client.Close()
			}
		})
	})
	t.Run("a message that the peer does not take is refused", func(t *testing.T) {
		inStreamWorld(t, endpoint.Config{}, func(t *testing.T, w *streamWorld) {
			client := start(t, endpoint.Config{Network: w.net, Unicast: clientAddr})
			ctx, cancel := within(time.Minute)
			defer cancel()
			r := endpoint.Request{To: serverAddr, Via: endpoint.ViaTCP, Code: codes.POST, Path: strings.Repeat("/"+strings.Repeat("x", 200), 60), Payload: make([]byte, 60000)}
			if _, err := client.Do(ctx, r); !errors.Is(err, endpoint.ErrRequest) {
				t.Fatal(err)
			}
		})
	})
	t.Run("observations last as long as their connection", func(t *testing.T) {
		inStreamWorld(t, endpoint.Config{}, func(t *testing.T, w *streamWorld) {
			n := 0
			w.res.Handle("/count", endpoint.AcceptPlain, mux.HandlerFunc(func(rw mux.ResponseWriter, m *mux.Message) {
				n++
				_ = rw.SetResponse(codes.Content, message.TextPlain, strings.NewReader(fmt.Sprint(n)), message.Option{ID: message.Observe})
			}))
			r := greeted(t, w.net, serverAddr)
			r.put(message.Message{Code: codes.GET, Token: []byte("ob"), Options: message.Options{{ID: message.Observe}, {ID: message.URIPath, Value: []byte("count")}}})
			for i := range 4 {
				m := r.next(time.Second)
				if string(m.Token) != "ob" || string(m.Payload) != fmt.Sprint(i+1) || !coapmsg.Has(m.Options, message.Observe) {
					t.Fatalf("%+v", m)
				}
				synctest.Wait()
				if w.server.Observers() != 1 || w.server.Notify("/count") != 1 {
					t.Fatal("not observed")
				}
			}
			r.Close()
			synctest.Wait()
			if w.server.Observers() != 0 {
				t.Fatal("still observed")
			}
		})
	})
	t.Run("a server asks a client by the connection that the client opened", func(t *testing.T) {
		inStreamWorld(t, endpoint.Config{}, func(t *testing.T, w *streamWorld) {
			r := greeted(t, w.net, serverAddr)
			go func() {
				m := <-r.in
				p, _ := coapmsg.ParseFrame(m)
				r.put(message.Message{Code: codes.Content, Token: p.Token, Payload: []byte("mine")})
			}()
			ctx, cancel := within(time.Second)
			defer cancel()
			to := netip.AddrPortFrom(clientAddr.Addr(), 50001)
			resp, err := w.server.Do(ctx, endpoint.Request{To: to, Via: endpoint.ViaTCP, Code: codes.GET})
			if err != nil || string(resp.Payload) != "mine" {
				t.Fatalf("%+v %v", resp, err)
			}
		})
	})
	t.Run("responses by other ways than the request's are nothing", func(t *testing.T) {
		inStreamWorld(t, endpoint.Config{}, func(t *testing.T, w *streamWorld) {
			r, other := greeted(t, w.net, serverAddr), greeted(t, w.net, serverAddr)
			udp := listenRaw(t, w.net.Network, netip.AddrPortFrom(clientAddr.Addr(), 50001))
			go func() {
				m := <-r.in
				p, _ := coapmsg.ParseFrame(m)
				p = message.Message{Code: codes.Content, Token: p.Token, Payload: []byte("forged")}
				other.put(p)
				p.Type, p.MessageID = non, 7
				udp.send(serverAddr, encode(t, p))
				time.Sleep(time.Second)
				p.Payload = []byte("mine")
				r.put(p)
			}()
			ctx, cancel := within(time.Minute)
			defer cancel()
			resp, err := w.server.Do(ctx, endpoint.Request{To: udp.LocalAddr(), Via: endpoint.ViaTCP, Code: codes.GET})
			if err != nil || string(resp.Payload) != "mine" {
				t.Fatalf("%+v %v", resp, err)
			}
		})
	})
	t.Run("no response is waited for that nobody wants", func(t *testing.T) {
		inStreamWorld(t, endpoint.Config{}, func(t *testing.T, w *streamWorld) {
			client := start(t, endpoint.Config{Network: w.net, Unicast: clientAddr})
			ctx, cancel := within(time.Minute)
			defer cancel()
			r := endpoint.Request{To: serverAddr, Via: endpoint.ViaTCP, Code: codes.POST, Path: "a", Options: message.Options{{ID: coapmsg.NoResponse, Value: []byte{26}}}}
			if resp, err := client.Do(ctx, r); err != nil || resp.Code != 0 {
				t.Fatalf("%+v %v", resp, err)
			}
			synctest.Wait()
			if w.res.runs.Load() != 1 {
				t.Fatal("not served")
			}
		})
	})
	t.Run("a network without connections offers none", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n := netsim.New(netsim.Config{})
			if _, err := endpoint.New(endpoint.Config{Network: n, Unicast: serverAddr, TCP: endpoint.TCPConfig{Listen: []netip.AddrPort{serverAddr}}}); !errors.Is(err, endpoint.ErrVia) {
				t.Fatal(err)
			}
			e := start(t, endpoint.Config{Network: n, Unicast: serverAddr})
			if _, err := e.Do(t.Context(), endpoint.Request{To: clientAddr, Via: endpoint.ViaTCP, Code: codes.GET}); !errors.Is(err, endpoint.ErrVia) {
				t.Fatal(err)
			}
			if _, err := e.Do(t.Context(), endpoint.Request{To: clientAddr, Via: 9, Code: codes.GET}); !errors.Is(err, endpoint.ErrRequest) {
				t.Fatal(err)
			}
		})
	})
}

func TestTCPRealSockets(t *testing.T) {
	for _, ip := range []string{"127.0.0.1:0", "[::1]:0"} {
		t.Run(ip, func(t *testing.T) {
			addr := netip.MustParseAddrPort(ip)
			server := start(t, endpoint.Config{Unicast: addr, TCP: endpoint.TCPConfig{Listen: []netip.AddrPort{addr}}, Handler: newResources(), Openers: []endpoint.RequestOpener{&toy{id: 1}}})
			client := start(t, endpoint.Config{Unicast: addr})
			to := server.ListenAddrs(endpoint.ViaTCP)[0]
			ctx, cancel := within(5 * time.Second)
			defer cancel()
			var r endpoint.Request
			if err := r.SetURI(fmt.Sprintf("coap+tcp://%s/a", to)); err != nil {
				t.Fatal(err)
			}
			r.Code, r.Payload, r.Security = codes.POST, bytes.Repeat([]byte("x"), 50000), &toy{id: 2}
			resp, err := client.Do(ctx, r)
			if err != nil || len(resp.Payload) != 50004 || resp.Peer.Addr != to {
				t.Fatalf("%+v %v", resp, err)
			}
		})
	}
}
