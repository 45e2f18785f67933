package main

import (
	"net/netip"

	"github.com/plgd-dev/go-coap/v3/mux"
	coapnet "github.com/plgd-dev/go-coap/v3/net"
	"github.com/plgd-dev/go-coap/v3/options"
	"github.com/plgd-dev/go-coap/v3/udp"
)

// openGoCoAP starts go-coap's own server, for comparison.
func openGoCoAP() (netip.AddrPort, func(), error) {
	router := mux.NewRouter()
	if err := router.Handle("/light", mux.HandlerFunc(lightHandler)); err != nil {
		return netip.AddrPort{}, nil, err
	}
	l, err := coapnet.NewListenUDP("udp4", anyPort.String())
	if err != nil {
		return netip.AddrPort{}, nil, err
	}
	s := udp.NewServer(options.WithMux(router))
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	addr, err := netip.ParseAddrPort(l.LocalAddr().String())
	return addr, func() { s.Stop(); <-done; l.Close() }, err
}
