package main

import (
	"crypto/rand"
	"net/netip"
	"time"

	"github.com/cohort-iot/cohort/endpoint"
)

// multicastWorks sends a datagram to a group on an interface and waits for it.
func multicastWorks(iface string, group netip.AddrPort) bool {
	in, err := (endpoint.UDP{}).ListenGroup(group, iface)
	if err != nil {
		return false
	}
	defer in.Close()
	out, err := (endpoint.UDP{}).Listen(loopback(1, 0))
	if err != nil {
		return false
	}
	defer out.Close()
	index, err := (endpoint.UDP{}).InterfaceIndex(iface)
	if err != nil {
		return false
	}
	probe := rand.Text()
	if err := out.WriteTo([]byte(probe), group, netip.Addr{}, index, 1); err != nil {
		return false
	}
	got := make(chan bool, 1)
	go func() {
		b := make([]byte, 64)
		n, _, _, _, err := in.ReadFrom(b)
		got <- err == nil && string(b[:n]) == probe
	}()
	select {
	case ok := <-got:
		return ok
	case <-time.After(time.Second):
		return false
	}
}
