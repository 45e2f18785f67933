package main

import (
	"bytes"
	"net"
	"net/netip"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/mux"

	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// openEcho starts the floor: a loop that parses a message and answers with
// another one.
func openEcho() (netip.AddrPort, func(), error) {
	c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(anyPort))
	if err != nil {
		return netip.AddrPort{}, nil, err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		in, out := make([]byte, 2048), make([]byte, 0, 2048)
		for {
			n, from, err := c.ReadFromUDPAddrPort(in)
			if err != nil {
				return
			}
			m, err := coapmsg.ParseDatagram(in[:n])
			if err != nil {
				continue
			}
			m.Type, m.Code, m.Options = message.Acknowledgement, codes.Changed, nil
			if out, err = coapmsg.AppendDatagram(out[:0], m); err == nil {
				_, _ = c.WriteToUDPAddrPort(out, from)
			}
		}
	}()
	return c.LocalAddr().(*net.UDPAddr).AddrPort(), func() { c.Close(); <-done }, nil
}

var anyPort = netip.MustParseAddrPort("127.0.0.1:0")

// answer is the payload of every response.
var answer = make([]byte, payloadSize)

// lightHandler answers with a payload as long as the request's.
func lightHandler(w mux.ResponseWriter, _ *mux.Message) {
	_ = w.SetResponse(codes.Changed, message.AppOctets, bytes.NewReader(answer))
}

// observedHandler lets itself be observed.
func observedHandler(w mux.ResponseWriter, _ *mux.Message) {
	_ = w.SetResponse(codes.Content, message.AppOctets, bytes.NewReader(answer), message.Option{ID: message.Observe})
}

func newServer(contexts *endpoint.Contexts, change func(*endpoint.Config)) (*endpoint.Endpoint, error) {
	m := endpoint.NewMux()
	m.Handle("/light", endpoint.AcceptPlain|endpoint.AcceptOSCORE, mux.HandlerFunc(lightHandler))
	m.Handle("/state", endpoint.AcceptPlain, mux.HandlerFunc(observedHandler))
	cfg := endpoint.Config{Unicast: anyPort, Handler: m}
	if contexts != nil {
		cfg.Openers = []endpoint.RequestOpener{contexts}
	}
	if change != nil {
		change(&cfg)
	}
	return endpoint.New(cfg)
}

// openEndpoint starts this module's endpoint.
func openEndpoint(contexts *endpoint.Contexts) (netip.AddrPort, func(), error) {
	e, err := newServer(contexts, nil)
	if err != nil {
		return netip.AddrPort{}, nil, err
	}
	return e.LocalAddr(), func() { e.Close() }, nil
}
