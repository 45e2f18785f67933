package authserver

import (
	"context"
)

// Session is one OSCORE context with a peer, derived from its enrolment secret by RFC 8613, Appendix B.2. Sessions live as
// long as the process.
type Session struct {
	Peer   Peer
	number uint64
}

// session is the newest session of a peer, and up to which number an alarm was raised.
type session struct {
	newest  uint64
	alarmed uint64
}

// Began notes that a context with a peer was established, which takes the place of any before.
func (s *Service) Began(p Peer) Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.sessions[p]
	if c == nil {
		c = &session{}
		s.sessions[p] = c
	}
	c.newest++
	return Session{Peer: p, number: c.newest}
}

// Used is to be called for each request that verified with the context of a session, before it is acted upon. It returns
// [ErrSuperseded] if a newer context with the same peer was established: whoever made that one and whoever uses this are not the
// same, so the secret has been copied. An alarm is raised, once for each superseded context, and the request is to be answered
// with 4.01.
//
// A context that a restart of the peer left behind is never used again, so restarts raise no alarm.
func (s *Service) Used(ctx context.Context, x Session) error {
	s.mu.Lock()
	c := s.sessions[x.Peer]
	current := c != nil && c.newest == x.number
	alarm := c != nil && !current && c.alarmed < x.number
	if alarm {
		c.alarmed = x.number
	}
	s.mu.Unlock()
	if current {
		return nil
	}
	if alarm {
		if err := s.alarm(ctx, x.Peer); err != nil {
			return err
		}
	}
	return ErrSuperseded
}

// forget ends all sessions of a peer: what verifies with one of them is refused, without an alarm.
func (s *Service) forget(p Peer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.sessions[p]; c != nil {
		c.newest++
		c.alarmed = c.newest
	}
}
