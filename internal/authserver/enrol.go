package authserver

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/secret"
	"github.com/cohort-iot/cohort/keystore"
)

// EnrolRequest says what device to enrol.
type EnrolRequest struct {
	Name     string  // of the device, unique
	Audience string  // resource server it is to talk to; it must be registered
	Grants   []Grant // may be empty: only what policies say is permitted then
	// Administrator lets it see the whole list of revoked tokens; at most a few may.
	Administrator bool
	// Key is the public key of the device, for profiles whose tokens are bound to it. The operator has made sure that the device
	// has the private key. Nil: none.
	Key *cose.PublicKey
	// Profiles are those the device has; none stands for the OSCORE profile.
	Profiles []ace.Profile
}

// Enrol creates a client with a random secret of its own and returns what the device needs. That secret leaves the server here
// and never again. Errors wrap [ErrExists], [ErrNotFound] or [ErrInvalid].
func (s *Service) Enrol(ctx context.Context, q EnrolRequest) (*ace.Enrolment, error) {
	if err := errors.Join(checkName("device name", q.Name), checkGrants(q.Grants)); err != nil {
		return nil, err
	}
	has, err := storeProfiles(q.Profiles)
	if err != nil {
		return nil, err
	}
	var key []byte
	if q.Key != nil {
		if key, err = q.Key.MarshalCBOR(); err != nil {
			return nil, fmt.Errorf("%w: public key: %w", ErrInvalid, err)
		}
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
		return &clientRecord{
			Schema: schema, Number: n.Client, Name: q.Name, Audience: q.Audience, Grants: slices.Clone(q.Grants),
			Administrator: q.Administrator, Key: key, Profiles: has,
		}, nil
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
		s.forget(Peer{PeerClient, c.Number})
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
		c.Secret, c.Salt = secret.Hide(random[:secretSize]), secret.Hide(random[secretSize:])
		c.Enrolled, c.Revoked = s.now().Unix(), 0
		e = &ace.Enrolment{
			Device: c.Name, Audience: audience, GM: rs.URI, AS: s.association(c.peer(), c.Secret, c.Salt), TRL: s.listInfo(),
		}
		if err := e.Validate(); err != nil {
			return err
		}
		if err := errors.Join(s.setAdministrator(tx, c.Number, c.Administrator), put(tx, nameClient(c.Number), c)); err != nil {
			return err
		}
		return s.audit(ctx, tx, auditEvent{Event: event, Client: c.Name, Audience: audience, Detail: describe(c.Grants)})
	})
	if err != nil {
		return nil, err
	}
	return e, nil
}

// association is a peer's side of its association with this server.
func (s *Service) association(p Peer, key, salt secret.Hidden) ace.EnrolmentAS {
	return ace.EnrolmentAS{
		URI: s.cfg.TokenURI, ID: p.id(), ASID: slices.Clone(serverID[:]), Secret: key.Clone(), Salt: salt.Clone(),
	}
}

// setAdministrator notes whether a client is an administrator.
func (s *Service) setAdministrator(tx *keystore.Tx, client uint64, is bool) error {
	admins, err := loadAdmins(tx)
	if err != nil {
		return err
	}
	at := slices.Index(admins.Numbers, client)
	switch {
	case is == (at >= 0):
		return nil
	case !is:
		admins.Numbers = slices.Delete(admins.Numbers, at, at+1)
	case len(admins.Numbers) >= maxAdministrators:
		return fmt.Errorf("%w: more than %d administrators", ErrInvalid, maxAdministrators)
	default:
		admins.Numbers = append(admins.Numbers, client)
	}
	return put(tx, nameAdmins(), admins)
}

func loadAdmins(r keystore.Reader) (*numbersRecord, error) {
	return loadOr(r, nameAdmins(), numbersRecord{Schema: schema})
}
