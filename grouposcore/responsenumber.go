package grouposcore

import (
	"bytes"
	"fmt"

	"github.com/cohort-iot/cohort/internal/replay"
)

// admits judges whether a response may be accepted by what was received before
// from the same server in the exchange (Section 5.3.1): at most one response
// without Partial IV, which is the oldest; any other must have a Partial IV
// above the Response Number of its Security Context or, where late responses
// are taken, one that was not received and is not too old for the window. The
// server is told by its key; under another kid than before it is refused
// (Section 7.4). x.mu is held.
func (x *clientSide) admits(r *recipient, hasPIV bool, seq uint64) error {
	s := x.server(r.keyID)
	if s == nil {
		if x.heard >= r.home.params.MaxRecipients {
			return ErrTooManyPeers
		}
		return nil
	}
	if !bytes.Equal(s.rec.id, r.id) {
		return fmt.Errorf("%w: %x after %x", ErrSenderIDChanged, r.id, s.rec.id)
	}
	if !hasPIV {
		if s.sawNoPIV || len(s.responses) > 0 && !r.home.params.LateResponses {
			return ErrReplay
		}
		return nil
	}
	for _, n := range s.responses {
		if n.epoch == r.home {
			return n.admits(seq)
		}
	}
	return nil
}

// admits reports whether a Partial IV may be accepted.
func (n *responseNumber) admits(seq uint64) error {
	if n.window == nil && seq <= n.number || n.window != nil && n.window.Check(seq) != nil {
		return ErrReplay
	}
	return nil
}

// note records a Partial IV that admits accepted.
func (n *responseNumber) note(seq uint64) {
	n.number = max(n.number, seq)
	if n.window != nil {
		_ = n.window.Accept(seq) // checked under the same lock
	}
}

// note records an accepted response. x.mu is held, and admits said yes under
// the same lock.
func (x *clientSide) note(r *recipient, hasPIV bool, seq uint64) {
	s := x.server(r.keyID)
	if s == nil {
		s = x.add(r)
	}
	s.rec = r
	if !hasPIV {
		s.sawNoPIV = true
		return
	}
	for i := range s.responses {
		if s.responses[i].epoch == r.home {
			s.responses[i].note(seq)
			return
		}
	}
	// A new Security Context: its Response Number was not initialised.
	if len(s.responses) == seenEpochs {
		s.responses = append(s.responses[:0], s.responses[1:]...)
	}
	n := responseNumber{epoch: r.home}
	if r.home.params.LateResponses {
		n.window = replay.New(r.home.params.ReplayWindow)
	}
	n.note(seq)
	s.responses = append(s.responses, n)
}

// holds returns the Recipient Context under which that server answered before
// in this exchange and Security Context, or nil. It counts even if the table
// evicted it since: an open exchange does not lose its servers. x.mu is held.
func (x *clientSide) holds(epoch *common, kid []byte) *recipient {
	s := x.byKID[string(kid)]
	if s == nil && x.heard > 0 && bytes.Equal(x.first.rec.id, kid) {
		s = &x.first
	}
	if s != nil && s.rec.home == epoch && !s.rec.removed.Load() {
		return s.rec
	}
	return nil
}

// server returns what is kept of the server with a key, or nil. x.mu is held.
func (x *clientSide) server(keyID string) *server {
	if x.heard > 0 && x.first.rec.keyID == keyID {
		return &x.first
	}
	return x.byKey[keyID]
}

// add begins to keep a server. x.mu is held.
func (x *clientSide) add(r *recipient) *server {
	s := &x.first
	if x.heard > 0 {
		s = new(server)
		if x.byKey == nil {
			x.byKey, x.byKID = make(map[string]*server), make(map[string]*server)
		}
		x.byKey[r.keyID], x.byKID[string(r.id)] = s, s
	}
	s.responses = s.room[:0]
	x.heard++
	return s
}
