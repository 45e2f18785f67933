package endpoint

import (
	"hash/maphash"
	"sync"
	"time"
)

// Message IDs of one socket (RFC 7252, Section 4.4). None is used again towards
// a peer before its lifetime is over. Those of requests and notifications come
// from a sequence for each peer, those of group requests, which any peer may
// receive, from one for all groups in a range of its own. Responses have a range
// too: their Message ID follows from that of the request, so that it is used
// again when the peer does that, and requests with forged addresses use up
// nothing.
const (
	midsOfPeers  = 0x7000 // from 0
	midsOfGroups = 0x1000 // from midsOfPeers
	midAnswers   = 0x8000 // and above
	// midSegment is how many Message IDs are accounted for together.
	midSegment = 512
)

// messageIDs are the sequences of one socket. The zero value is ready.
//
// A sequence belongs to a 16-bit keyed hash of the peer: there are no more than
// 65536, none has to be forgotten, and if two peers have one together they are
// only sooner at its end.
type messageIDs struct {
	mu     sync.Mutex
	peers  map[uint16]*midSequence
	groups *midSequence
}

// midSequence counts through a range from a random start.
type midSequence struct {
	first, size uint16
	next        uint16          // offset
	until       time.Duration   // when the present segment is free again
	free        []time.Duration // when others are; nil in the first segment of a sequence
}

// midHash tells where sequences begin, and which peer has which.
func midHash(seed maphash.Seed, to remote) uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	writeAddr(&h, to.addr)
	return h.Sum64()
}

// take gives the next Message ID, to be used until a time; or it says when there
// will be one. With spare it leaves a segment to others.
func (m *messageIDs) take(hash uint64, group bool, now, until time.Duration, spare bool) (mid uint16, wait time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if group {
		if m.groups == nil {
			m.groups = &midSequence{first: midsOfPeers, size: midsOfGroups, next: uint16(hash>>16) % midsOfGroups}
		}
		return m.groups.take(now, until, false)
	}
	s := m.peers[uint16(hash)]
	if s == nil {
		if m.peers == nil {
			m.peers = make(map[uint16]*midSequence)
		}
		s = &midSequence{size: midsOfPeers, next: uint16(hash>>16) % midsOfPeers}
		m.peers[uint16(hash)] = s
	}
	return s.take(now, until, spare)
}

func (s *midSequence) take(now, until time.Duration, spare bool) (mid uint16, wait time.Duration) {
	if s.next%midSegment == 0 && s.free != nil {
		i := s.next / midSegment
		wait := s.free[i] - now
		if spare {
			wait = max(wait, s.free[(int(i)+1)%len(s.free)]-now)
		}
		if wait > 0 {
			return 0, wait
		}
	}
	mid = s.first + s.next
	s.until = max(s.until, until)
	if s.next++; s.next%midSegment == 0 {
		if s.free == nil {
			s.free = make([]time.Duration, s.size/midSegment)
		}
		s.free[s.next/midSegment-1] = s.until
		s.until = 0
		if s.next == s.size {
			s.next = 0
		}
	}
	return mid, 0
}

// answerMID is the Message ID of a response of its own to a request: another one
// than the request has, and another for other peers.
func answerMID(hash uint64, mid uint16) uint16 {
	return midAnswers | (mid+1+uint16(hash>>32)%(midAnswers-1))&(midAnswers-1)
}
