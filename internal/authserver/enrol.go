package authserver

import (
	"context"
	"fmt"
	"slices"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/keystore"
)

// EnrolRequest says what device to enrol.
type EnrolRequest struct {
	Name     string  // of the device, unique
	Audience string  // resource server it is to talk to; it must be registered
	Grants   []Grant // may be empty: nothing is permitted then
}

// Enrol creates a client with a random secret of its own and returns what the device needs. That secret leaves the server here
// and never again. Errors wrap [ErrExists], [ErrNotFound] or [ErrInvalid].
func (s *Service) Enrol(ctx context.Context, q EnrolRequest) (*ace.Enrolment, error) {
	if err := checkName("device name", q.Name); err != nil {
		return nil, err
	}
	if err := checkGrants(q.Grants); err != nil {
		return nil, err
	}
	return s.enrol(ctx, q.Audience, "client.enrolled", func(tx *keystore.Tx) (*clientRecord, error) {
		n, err := loadCounters(tx)
		if err != nil {
			return nil, err
		}
		n.Client++
		if err := put(tx, nameCounters(), n); err != nil {
			return nil, err
		}
		index := nameClientName(s.store.Index(domainClient, []byte(q.Name)))
		if err := claim(tx, index, []byte(q.Name), n.Client); err != nil {
			return nil, fmt.Errorf("client %q: %w", q.Name, err)
		}
		return &clientRecord{Schema: schema, Number: n.Client, Name: q.Name, Audience: q.Audience, Grants: slices.Clone(q.Grants)}, nil
	})
}

// Reenrol gives a device a new secret in place of the one it has, for instance after an alarm. What it may do stays; a client
// that was revoked comes back. Errors wrap [ErrNotFound].
func (s *Service) Reenrol(ctx context.Context, name string) (*ace.Enrolment, error) {
	c, err := s.Client(name)
	if err != nil {
		return nil, err
	}
	e, err := s.enrol(ctx, c.Audience, "client.reenrolled", func(tx *keystore.Tx) (*clientRecord, error) {
		return s.clientNamed(tx, name)
	})
	if err == nil {
		s.forget(c.Number)
	}
	return e, err
}

// enrol stores the client that make returns with a new secret.
func (s *Service) enrol(ctx context.Context, audience, event string, make func(*keystore.Tx) (*clientRecord, error)) (*ace.Enrolment, error) {
	random, err := s.random(secretSize + saltSize)
	if err != nil {
		return nil, err
	}
	var e *ace.Enrolment
	err = s.store.Update(ctx, func(tx *keystore.Tx) error {
		rs, err := s.rsNamed(tx, audience)
		if err != nil {
			return err
		}
		c, err := make(tx)
		if err != nil {
			return err
		}
		c.Secret, c.Salt = random[:secretSize], random[secretSize:]
		c.Enrolled, c.Revoked = s.now().Unix(), 0
		e = &ace.Enrolment{
			Device: c.Name, Audience: audience, GM: rs.URI,
			AS: ace.EnrolmentAS{
				URI: s.cfg.TokenURI, ID: numberID(c.Number), ASID: slices.Clone(serverID[:]),
				Secret: c.Secret.Clone(), Salt: c.Salt.Clone(),
			},
		}
		if err := e.Validate(); err != nil {
			return err
		}
		if err := put(tx, nameClient(c.Number), c); err != nil {
			return err
		}
		return s.audit(ctx, tx, auditEvent{Event: event, Client: c.Name, Audience: audience, Detail: describe(c.Grants)})
	})
	if err != nil {
		return nil, err
	}
	return e, nil
}
