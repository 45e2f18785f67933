package interop

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/coapmsg"
)

func TestLibcoapServer(t *testing.T) {
	t.Parallel()
	server := program(t, "coap-server")
	// libcoap binds a port and the one after it.
	port := freePort(t)
	start(t, server, "-A", "127.0.0.1", "-p", fmt.Sprint(port), "-d", "20", "-k", key, "-u", identity)
	e, err := endpoint.New(endpoint.Config{Unicast: loopback, DTLS: endpoint.DTLSConfig{Credentials: func(netip.AddrPort) ([]byte, []byte, error) {
		return []byte(identity), []byte(key), nil
	}}})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	up(t, e, netip.AddrPortFrom(loopback.Addr(), port))
	do := func(t *testing.T, via endpoint.Via, r endpoint.Request) *endpoint.Response {
		t.Helper()
		r.Via, r.To = via, netip.AddrPortFrom(loopback.Addr(), port)
		if via == endpoint.ViaDTLS {
			r.To = netip.AddrPortFrom(loopback.Addr(), port+1)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
		defer cancel()
		resp, err := e.Do(ctx, r)
		for err != nil && ctx.Err() == nil && errors.Is(err, endpoint.ErrConnection) { // it may not listen yet
			time.Sleep(50 * time.Millisecond)
			resp, err = e.Do(ctx, r)
		}
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	body := bytes.Repeat([]byte("fedcba9876543210"), 400)
	for _, via := range []endpoint.Via{endpoint.ViaUDP, endpoint.ViaTCP, endpoint.ViaDTLS} {
		name := via.String()
		t.Run(name+" GET", func(t *testing.T) {
			if r := do(t, via, endpoint.Request{Code: codes.GET}); !strings.Contains(string(r.Payload), "libcoap") {
				t.Fatalf("%+v", r)
			}
		})
		t.Run(name+" block-wise PUT and GET", func(t *testing.T) {
			path := "b" + fmt.Sprint(int(via))
			if r := do(t, via, endpoint.Request{Code: codes.PUT, Path: path, Payload: body}); r.Code != codes.Created && r.Code != codes.Changed {
				t.Fatalf("%+v", r)
			}
			if r := do(t, via, endpoint.Request{Code: codes.GET, Path: path}); !bytes.Equal(r.Payload, body) {
				t.Fatalf("%v, %d bytes", r.Code, len(r.Payload))
			}
			if r := do(t, via, endpoint.Request{Code: codes.DELETE, Path: path}); r.Code != codes.Deleted {
				t.Fatalf("%+v", r)
			}
			if r := do(t, via, endpoint.Request{Code: codes.GET, Path: path}); r.Code != codes.NotFound {
				t.Fatalf("%+v", r)
			}
		})
		t.Run(name+" Observe", func(t *testing.T) {
			to := netip.AddrPortFrom(loopback.Addr(), port)
			if via == endpoint.ViaDTLS {
				to = netip.AddrPortFrom(loopback.Addr(), port+1)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
			defer cancel()
			n := 0
			for r, err := range e.Observe(ctx, endpoint.Request{To: to, Via: via, Code: codes.GET, Path: "time"}) {
				if err != nil || r.Code != codes.Content {
					t.Fatalf("%+v %v", r, err)
				}
				if n++; n == 3 {
					break
				}
			}
		})
		t.Run(name+" Observe of a long body", func(t *testing.T) {
			path := "o" + fmt.Sprint(int(via))
			put := func(b []byte) {
				if r := do(t, via, endpoint.Request{Code: codes.PUT, Path: path, Payload: b}); !coapmsg.IsSuccess(r.Code) {
					t.Fatalf("%+v", r)
				}
			}
			states := [][]byte{body, bytes.Repeat([]byte("changed "), 500), bytes.Repeat([]byte("anew"), 700)}
			put(states[0])
			to := netip.AddrPortFrom(loopback.Addr(), port)
			if via == endpoint.ViaDTLS {
				to = netip.AddrPortFrom(loopback.Addr(), port+1)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
			defer cancel()
			n := 0
			for r, err := range e.Observe(ctx, endpoint.Request{To: to, Via: via, Code: codes.GET, Path: path}) {
				if err != nil || !bytes.Equal(r.Payload, states[n]) {
					t.Fatalf("state %d: %+v %v", n, r, err)
				}
				if n++; n == len(states) {
					break
				}
				put(states[n])
			}
		})
		t.Run(name+" separate response", func(t *testing.T) {
			if r := do(t, via, endpoint.Request{Code: codes.GET, Path: "async", Query: []string{"1"}}); r.Code != codes.Content {
				t.Fatalf("%+v", r)
			}
		})
	}
	t.Run("discovery", func(t *testing.T) {
		r := do(t, endpoint.ViaUDP, endpoint.Request{Code: codes.GET, Path: ".well-known/core", Query: []string{"rt=ticks"}})
		links, err := endpoint.ParseLinks(string(r.Payload))
		if err != nil || len(links) != 1 || links[0].Target != "/time" {
			t.Fatalf("%q: %+v %v", r.Payload, links, err)
		}
	})
	t.Run("coap NON", func(t *testing.T) {
		con := false
		if r := do(t, endpoint.ViaUDP, endpoint.Request{Code: codes.GET, Confirmable: &con}); r.Code != codes.Content {
			t.Fatalf("%+v", r)
		}
	})
}
