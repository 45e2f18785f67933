package authserver

import (
	"context"

	"github.com/cohort-iot/cohort/keystore"
)

// Session is one OSCORE context with a client, derived from its enrolment secret by RFC 8613, Appendix B.2. Sessions live as
// long as the process.
type Session struct {
	Client uint64
	number uint64
}

// session is the newest session of a client, and up to which number an alarm was raised.
type session struct {
	newest  uint64
	alarmed uint64
}

// Began notes that a context with a client was established, which takes the place of any before.
func (s *Service) Began(client uint64) Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.sessions[client]
	if c == nil {
		c = &session{}
		s.sessions[client] = c
	}
	c.newest++
	return Session{Client: client, number: c.newest}
}

// Used is to be called for each request that verified with the context of a session, before it is acted upon. It returns
// [ErrSuperseded] if a newer context with the same client was established: the device that made that one and the one that
// uses this are not the same, so the secret has been copied. An alarm is raised, once for each superseded context, and the
// request is to be answered with 4.01.
//
// A context that a restart of the device left behind is never used again, so restarts raise no alarm.
func (s *Service) Used(ctx context.Context, x Session) error {
	s.mu.Lock()
	c := s.sessions[x.Client]
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
		if err := s.alarm(ctx, x.Client); err != nil {
			return err
		}
	}
	return ErrSuperseded
}

// alarm counts and records that a secret is in use twice, and tells it.
func (s *Service) alarm(ctx context.Context, client uint64) error {
	name := ""
	err := s.store.Update(ctx, func(tx *keystore.Tx) error {
		c, err := loadClient(tx, client)
		if err != nil {
			return err
		}
		name = c.Name
		c.Alarms++
		if err := put(tx, nameClient(client), c); err != nil {
			return err
		}
		return s.audit(ctx, tx, auditEvent{Event: "client.secret-in-use-twice", Client: name})
	})
	if err != nil {
		return err
	}
	s.cfg.Events.SecretInUseTwice(name)
	return nil
}

// forget ends all sessions of a client: what verifies with one of them is refused, without an alarm.
func (s *Service) forget(client uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.sessions[client]; c != nil {
		c.newest++
		c.alarmed = c.newest
	}
}
