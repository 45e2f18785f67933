package main

import (
	"net/netip"

	"github.com/plgd-dev/go-coap/v3/mux"
	coapnet "github.com/plgd-dev/go-coap/v3/net"
	"github.com/plgd-dev/go-coap/v3/options"
	"github.com/plgd-dev/go-coap/v3/udp"
)

// withGoCoAP runs f against go-coap's own server, for comparison.
func withGoCoAP(f func(netip.AddrPort) (served, error)) (served, error) {
	router := mux.NewRouter()
	if err := router.Handle("/light", mux.HandlerFunc(lightHandler)); err != nil {
		return served{}, err
	}
	l, err := coapnet.NewListenUDP("udp4", anyPort.String())
	if err != nil {
		return served{}, err
	}
	s := udp.NewServer(options.WithMux(router))
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	addr, err := netip.ParseAddrPort(l.LocalAddr().String())
	if err != nil {
		return served{}, err
	}
	out, err := f(addr)
	s.Stop()
	<-done
	l.Close()
	return out, err
}
