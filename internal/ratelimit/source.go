package ratelimit

import "net/netip"

// Source is the key of an address: the address itself for IPv4, and for IPv6 its network of 64 bits, of which one host may have
// all addresses.
func Source(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := 64
	if a.Is4() {
		bits = 32
	}
	p, _ := a.Prefix(bits) // an invalid address gives the zero prefix, a key like any other
	return p
}
