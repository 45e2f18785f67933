package endpoint_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/mux"

	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/netsim"
)

var secureAddr = netip.MustParseAddrPort("10.0.0.1:5684")

func keys(identity []byte) ([]byte, error) {
	if id := string(identity); id == "lamp" || id == "switch" {
		return []byte("key of " + id), nil
	}
	return nil, errors.New("no such client")
}

func as(name, key string) endpoint.DTLSConfig {
	return endpoint.DTLSConfig{Credentials: func(netip.AddrPort) (identity, k []byte, err error) { return []byte(name), []byte(key), nil }}
}

type secureWorld struct {
	net    *netsim.Network
	res    *resources
	meter  *endpoint.Counters
	server *endpoint.Endpoint
}

func inSecureWorld(t *testing.T, cfg endpoint.Config, f func(t *testing.T, w *secureWorld)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &secureWorld{net: netsim.New(netsim.Config{}), res: newResources(), meter: &endpoint.Counters{}}
		w.res.Handle("/who", endpoint.AcceptDTLS, mux.HandlerFunc(func(rw mux.ResponseWriter, m *mux.Message) {
			p, _ := endpoint.PeerFrom(m.Context())
			_ = rw.SetResponse(codes.Content, message.TextPlain, bytes.NewReader(fmt.Appendf(nil, "%s %s", p.Via, p.Identity)))
		}))
		cfg.Network, cfg.Unicast, cfg.Handler, cfg.Meter = w.net, serverAddr, w.res, w.meter
		cfg.Openers = []endpoint.RequestOpener{&toy{id: 1}}
		cfg.DTLS.Listen, cfg.DTLS.PSK = []netip.AddrPort{secureAddr}, keys
		w.server = start(t, cfg)
		f(t, w)
	})
}

func (w *secureWorld) ask(t *testing.T, e *endpoint.Endpoint, path string) (*endpoint.Response, error) {
	t.Helper()
	ctx, cancel := within(time.Minute)
	defer cancel()
	return e.Do(ctx, endpoint.Request{To: secureAddr, Via: endpoint.ViaDTLS, Code: codes.GET, Path: path})
}

func TestDTLS(t *testing.T) {
	t.Run("every method, both types, plain and protected, in one session", func(t *testing.T) {
		inSecureWorld(t, endpoint.Config{}, func(t *testing.T, w *secureWorld) {
			client := start(t, endpoint.Config{Network: w.net, Unicast: clientAddr, DTLS: as("lamp", "key of lamp")})
			for _, sec := range []endpoint.Protector{nil, &toy{id: 2}} {
				for code := codes.Code(1); code <= 7; code++ {
					for _, con := range []bool{true, false} {
						ctx, cancel := within(time.Second)
						r := endpoint.Request{To: secureAddr, Via: endpoint.ViaDTLS, Code: code, Path: "a", Payload: []byte("x"), Security: sec, Confirmable: &con}
						resp, err := client.Do(ctx, r)
						cancel()
						if err != nil || resp.Code != codes.Content || resp.Peer.Via != endpoint.ViaDTLS || resp.Peer.Addr != secureAddr {
							t.Fatalf("%v: %+v %v", code, resp, err)
						}
					}
				}
			}
		})
	})
	t.Run("a resource sees the identity, and is not served in clear", func(t *testing.T) {
		inSecureWorld(t, endpoint.Config{}, func(t *testing.T, w *secureWorld) {
			for _, name := range []string{"lamp", "switch"} {
				client := start(t, endpoint.Config{Network: w.net, Unicast: clientAddr, DTLS: as(name, "key of "+name)})
				resp, err := w.ask(t, client, "who")
				if err != nil || string(resp.Payload) != "coaps "+name {
					t.Fatalf("%+v %v", resp, err)
				}
				ctx, cancel := within(time.Minute)
				resp, err = client.Do(ctx, endpoint.Request{To: serverAddr, Code: codes.GET, Path: "who"})
				if err != nil || resp.Code != codes.Unauthorized {
					t.Fatalf("%+v %v", resp, err)
				}
				cancel()
				client.Close()
			}
		})
	})
	t.Run("a wrong key and an unknown identity end alike", func(t *testing.T) {
		inSecureWorld(t, endpoint.Config{}, func(t *testing.T, w *secureWorld) {
			var texts []string
			for _, c := range [][2]string{{"lamp", "wrong"}, {"nobody", "key"}} {
				client := start(t, endpoint.Config{Network: w.net, Unicast: clientAddr, DTLS: as(c[0], c[1])})
				_, err := w.ask(t, client, "who")
				if !errors.Is(err, endpoint.ErrConnection) {
					t.Fatal(err)
				}
				texts = append(texts, err.Error())
				client.Close()
			}
			if texts[0] != texts[1] {
				t.Fatal(texts)
			}
		})
	})
	t.Run("losses are made good, in the handshake and after it", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n := netsim.New(netsim.Config{Loss: 0.2, Seed: 3})
			start(t, endpoint.Config{Network: n, Unicast: serverAddr, Handler: newResources(), DTLS: endpoint.DTLSConfig{Listen: []netip.AddrPort{secureAddr}, PSK: keys, Patience: time.Minute}})
			cfg := as("lamp", "key of lamp")
			cfg.Patience = time.Minute
			client := start(t, endpoint.Config{Network: n, Unicast: clientAddr, DTLS: cfg})
			for range 20 {
				ctx, cancel := within(5 * time.Minute)
				resp, err := client.Do(ctx, endpoint.Request{To: secureAddr, Via: endpoint.ViaDTLS, Code: codes.GET, Path: "a"})
				cancel()
				if err != nil {
					t.Fatalf("%+v %v", resp, err)
				}
			}
		})
	})
	t.Run("O21 beginnings of handshakes from 2000 addresses cost a bounded number of handshakes, and keep nobody out", func(t *testing.T) {
		inSecureWorld(t, endpoint.Config{DTLS: endpoint.DTLSConfig{Handshakes: 16}}, func(t *testing.T, w *secureWorld) {
			var hello []byte
			w.net.SetFilter(func(p netsim.Packet) netsim.Verdict {
				if hello == nil && p.To == secureAddr {
					hello = bytes.Clone(p.Data)
				}
				return netsim.Verdict{}
			})
			first := start(t, endpoint.Config{Network: w.net, Unicast: clientAddr, DTLS: as("lamp", "key of lamp")})
			if _, err := w.ask(t, first, "who"); err != nil {
				t.Fatal(err)
			}
			second := start(t, endpoint.Config{Network: w.net, Unicast: netip.MustParseAddrPort("10.0.0.4:1"), DTLS: as("switch", "key of switch")})
			before := measure()
			for i := range 2000 {
				c, err := w.net.Listen(netip.AddrPortFrom(netip.AddrFrom4([4]byte{11, 0, byte(i >> 8), byte(i)}), 1))
				if err != nil {
					t.Fatal(err)
				}
				if err := c.WriteTo(hello, secureAddr, netip.Addr{}, 0, 0); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				c.Close()
			}
			after := measure()
			if after.goroutines > before.goroutines+16*6 || after.heap > before.heap+4<<20 {
				t.Fatalf("%+v after %+v", after, before)
			}
			for _, e := range []*endpoint.Endpoint{first, second} {
				if _, err := w.ask(t, e, "who"); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(time.Minute)
			if n := w.meter.Get(endpoint.DropHandshake); n < 2000 {
				t.Fatalf("%d handshakes given up", n)
			}
			if end := measure(); end.goroutines > before.goroutines+12 {
				t.Fatalf("%+v at the end", end)
			}
		})
	})
	t.Run("O10 garbage neither begins a handshake nor harms a session", func(t *testing.T) {
		inSecureWorld(t, endpoint.Config{}, func(t *testing.T, w *secureWorld) {
			client := start(t, endpoint.Config{Network: w.net, Unicast: clientAddr, DTLS: as("lamp", "key of lamp")})
			if _, err := w.ask(t, client, "who"); err != nil {
				t.Fatal(err)
			}
			before := measure()
			raw := listenRaw(t, w.net, netip.MustParseAddrPort("10.0.0.5:5"))
			for _, h := range []string{"", "00", "16fefd0000000000000000000100", "17fefd000000000000000000020000", "15fefd0000000000000000000202" + "00", "40010001", "16fefd000000000000000000ff01", "16fefd0001000000000000000400000000"} {
				b, err := hex.DecodeString(h)
				if err != nil {
					t.Fatal(err)
				}
				raw.send(secureAddr, b)
				raw.nothing(time.Second)
			}
			if after := measure(); after.goroutines > before.goroutines {
				t.Fatalf("%+v after %+v", after, before)
			}
			if _, err := w.ask(t, client, "who"); err != nil {
				t.Fatal(err)
			}
		})
	})
	t.Run("sessions are bounded; the one that was idle for longest makes room; the end is announced", func(t *testing.T) {
		inSecureWorld(t, endpoint.Config{DTLS: endpoint.DTLSConfig{MaxSessions: 3}}, func(t *testing.T, w *secureWorld) {
			var clients []*endpoint.Endpoint
			for i := range 4 {
				e := start(t, endpoint.Config{Network: w.net, Unicast: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, 0, byte(i)}), 1), DTLS: as("lamp", "key of lamp")})
				clients = append(clients, e)
				if _, err := w.ask(t, e, "who"); err != nil {
					t.Fatal(i, err)
				}
				time.Sleep(time.Minute)
			}
			if n := w.meter.Get(endpoint.DropConnection); n != 1 {
				t.Fatalf("%d made room", n)
			}
			for i, e := range clients { // the first one opens a new session
				if _, err := w.ask(t, e, "who"); err != nil {
					t.Fatal(i, err)
				}
				time.Sleep(time.Minute)
			}
		})
	})
	t.Run("an idle session ends, one that is observed by does not", func(t *testing.T) {
		inSecureWorld(t, endpoint.Config{DTLS: endpoint.DTLSConfig{IdleTime: time.Hour}}, func(t *testing.T, w *secureWorld) {
			client := start(t, endpoint.Config{Network: w.net, Unicast: clientAddr, DTLS: as("lamp", "key of lamp")})
			before := measure()
			if _, err := w.ask(t, client, "who"); err != nil {
				t.Fatal(err)
			}
			time.Sleep(3 * time.Hour)
			if after := measure(); after.goroutines > before.goroutines+1 { // the client's socket for sessions
				t.Fatalf("%+v after %+v", after, before)
			}
			if _, err := w.ask(t, client, "who"); err != nil {
				t.Fatal(err)
			}
		})
	})
	t.Run("an endpoint without credentials offers none", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n := netsim.New(netsim.Config{})
			e := start(t, endpoint.Config{Network: n, Unicast: serverAddr})
			if _, err := e.Do(t.Context(), endpoint.Request{To: secureAddr, Via: endpoint.ViaDTLS, Code: codes.GET}); !errors.Is(err, endpoint.ErrVia) {
				t.Fatal(err)
			}
			if _, err := endpoint.New(endpoint.Config{Network: n, Unicast: serverAddr, DTLS: endpoint.DTLSConfig{Listen: []netip.AddrPort{secureAddr}}}); err == nil {
				t.Fatal("keys are not missed")
			}
		})
	})
}
