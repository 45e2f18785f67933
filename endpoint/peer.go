package endpoint

import (
	"context"
	"net/netip"
	"strconv"

	"github.com/cohort-iot/cohort/cose"
)

// Mode says how a message was protected.
type Mode uint8

// The modes of protection.
const (
	Plain        Mode = iota // no OSCORE option
	OSCORE                   // RFC 8613
	GroupMode                // Group OSCORE, signed for the whole group
	PairwiseMode             // Group OSCORE, for one member
)

// String returns the name of the mode.
func (m Mode) String() string {
	switch m {
	case Plain:
		return "plain"
	case OSCORE:
		return "oscore"
	case GroupMode:
		return "group"
	case PairwiseMode:
		return "pairwise"
	}
	return "mode(" + strconv.Itoa(int(m)) + ")"
}

// Peer is what an endpoint knows of the sender of a message. Everything but
// Addr, Multicast and Via was verified; in mode Plain nothing but Identity was.
type Peer struct {
	// Addr is where the message came from.
	Addr netip.AddrPort
	// Multicast says that a request was sent to a group address.
	Multicast bool
	// Via says how the message travelled.
	Via Via
	// Identity is what the sender proved to have the key of in the DTLS
	// handshake; nil otherwise.
	Identity []byte
	// Mode says how the message itself was protected.
	Mode Mode
	// SenderID is the sender's OSCORE Sender ID.
	SenderID []byte
	// Gid is the group identifier, or the ID Context of an OSCORE message;
	// nil if there is none.
	Gid []byte
	// Credential is the authentication credential that verified a message of
	// a group; nil in other modes.
	Credential *cose.Credential
	// Association is what the owner attached to the security context.
	Association any
}

type peerKey struct{}

// PeerFrom returns who sent the request that a handler serves. Handlers call
// it with the context of the request:
//
//	peer, ok := endpoint.PeerFrom(r.Context())
func PeerFrom(ctx context.Context) (Peer, bool) {
	p, ok := ctx.Value(peerKey{}).(*Peer)
	if !ok {
		return Peer{}, false
	}
	return *p, true
}

// requestContext carries the peer without a chain of context values.
type requestContext struct {
	context.Context
	peer      Peer
	notifying bool
}

func (c *requestContext) Value(key any) any {
	switch key.(type) {
	case peerKey:
		return &c.peer
	case notificationKey:
		return c.notifying
	}
	return c.Context.Value(key)
}
