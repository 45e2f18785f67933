package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"math"
	"runtime"

	voi "github.com/oasisprotocol/curve25519-voi/primitives/ed25519"
	"github.com/plgd-dev/go-coap/v3/message"

	"github.com/cohort-iot/cohort/grouposcore"
)

// maxPeers is how many Recipient Contexts are made to find out the size of one.
const maxPeers = 512

// memorySuite measures what a member keeps of each peer it hears: Recipient
// Context, expanded key and place in the table, against an expanded key alone.
// The credential itself belongs to whoever keeps credentials. Pairwise keys are
// a cache beside it.
func memorySuite(m *meter) ([]figure, error) {
	peers := min(16*m.rounds, maxPeers)
	group, err := recipientBytes(peers, false)
	if err != nil {
		return nil, err
	}
	both, err := recipientBytes(peers, true)
	if err != nil {
		return nil, err
	}
	floor, err := expandedBytes(peers)
	if err != nil {
		return nil, err
	}
	return []figure{
		atMost("one Recipient Context with its expanded key", group, floor, "bytes", 2048),
		shown("the same after pairwise messages", both, floor, "bytes"),
	}, nil
}

// live is how many bytes are in use, after as many collections as still free
// something: pools and cleanups need several.
func live() float64 {
	var s runtime.MemStats
	for last := uint64(math.MaxUint64); ; last = s.HeapAlloc {
		runtime.GC()
		runtime.ReadMemStats(&s)
		if s.HeapAlloc >= last {
			return float64(s.HeapAlloc)
		}
	}
}

// recipientBytes lets one member hear many others, each twice, since a key is
// expanded at its second use, and compares the heap before and after. With
// pairwise, each sends a pairwise request too.
func recipientBytes(peers int, pairwise bool) (float64, error) {
	g, err := newGroup()
	if err != nil {
		return 0, err
	}
	listener, _, err := g.member([]byte{0xff})
	if err != nil {
		return 0, err
	}
	var heard []message.Message
	for i := range peers {
		ctx, _, err := g.member(binary.BigEndian.AppendUint16(nil, uint16(i)))
		if err != nil {
			return 0, err
		}
		options := []grouposcore.RequestOptions{{Mode: grouposcore.GroupMode}, {Mode: grouposcore.GroupMode}}
		if pairwise {
			options = append(options, grouposcore.RequestOptions{Mode: grouposcore.PairwiseMode, To: []byte{0xff}})
		}
		for _, o := range options {
			p, _, err := ctx.ProtectRequest(request(), o)
			if err != nil {
				return 0, err
			}
			heard = append(heard, p)
		}
	}
	before := live()
	for _, p := range heard {
		if _, _, _, err := listener.UnprotectRequest(p); err != nil {
			return 0, err
		}
	}
	after := live()
	runtime.KeepAlive(heard)
	runtime.KeepAlive(listener)
	runtime.KeepAlive(g)
	return (after - before) / float64(peers), nil
}

// expandedBytes is the size of an expanded key.
func expandedBytes(peers int) (float64, error) {
	public := make([]ed25519.PublicKey, peers)
	for i := range public {
		key, _, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return 0, err
		}
		public[i] = key
	}
	keys := make([]*voi.ExpandedPublicKey, peers)
	before := live()
	for i, p := range public {
		key, err := voi.NewExpandedPublicKey(voi.PublicKey(p))
		if err != nil {
			return 0, err
		}
		keys[i] = key
	}
	after := live()
	runtime.KeepAlive(keys)
	runtime.KeepAlive(public)
	return (after - before) / float64(peers), nil
}
