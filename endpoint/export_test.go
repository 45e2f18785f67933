package endpoint

import "net/netip"

// BlockBytesHeld is how many bytes the bodies of block-wise transfers are
// accounted for.
func BlockBytesHeld(e *Endpoint) int { return e.transfers.held() }

// Exchanges is how many requests are outstanding.
func Exchanges(e *Endpoint) int {
	e.tokens.mu.Lock()
	defer e.tokens.mu.Unlock()
	return len(e.tokens.m)
}

// Pending is how many messages wait for an acknowledgement or a Reset.
func Pending(e *Endpoint) int {
	e.transmit.mu.Lock()
	defer e.transmit.mu.Unlock()
	return len(e.transmit.pending)
}

// NoteAddress validates the address of a stranger.
func NoteAddress(e *Endpoint, a netip.AddrPort) {
	e.addresses.note(remote{addr: a}, a, e.cfg.Clock.Now())
}

// AddressesHeld is how many addresses of strangers are remembered.
func AddressesHeld(e *Endpoint) int {
	e.addresses.mu.Lock()
	defer e.addresses.mu.Unlock()
	return len(e.addresses.strange.young) + len(e.addresses.strange.old)
}

// Suspended is how many verified requests wait for a copy of themselves.
func Suspended(e *Endpoint) int {
	e.dedup.mu.Lock()
	defer e.dedup.mu.Unlock()
	return max(len(e.dedup.suspended), len(e.dedup.order))
}

// Reliefs is how many relief sockets are open.
func Reliefs(e *Endpoint) int {
	e.relief.mu.Lock()
	defer e.relief.mu.Unlock()
	return len(e.relief.open)
}

// UseMessageIDs uses up what Message IDs there are for a peer.
func UseMessageIDs(e *Endpoint, to netip.AddrPort) {
	for {
		if _, wait := e.transmit.number(e.unicast[0], remote{addr: to}, true, false); wait > 0 {
			return
		}
	}
}
