package authserver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/keystore"
)

// Client is a device as the operator sees it.
type Client struct {
	Number        uint64
	Name          string
	ID            []byte // OSCORE Sender ID of the device towards this server
	Audience      string // for requests without one
	Grants        []Grant
	Enrolled      time.Time
	Revoked       time.Time // zero: in use
	Alarms        uint64    // times its secret was seen in use twice
	Administrator bool      // may see the whole list of revoked tokens
	Key           []byte    // COSE_Key of its public key; nil if none is known
	Profiles      []ace.Profile
}

func (c *clientRecord) view() Client {
	return Client{
		Number: c.Number, Name: c.Name, ID: numberID(c.Number), Audience: c.Audience, Grants: slices.Clone(c.Grants),
		Enrolled: unix(c.Enrolled), Revoked: unix(c.Revoked), Alarms: c.Alarms, Administrator: c.Administrator, Key: c.Key,
		Profiles: profiles(c.Profiles),
	}
}

func (c *clientRecord) peer() Peer { return Peer{PeerClient, c.Number} }

// loadClient reads a client by number; [ErrNotFound] if there is none.
func loadClient(r keystore.Reader, n uint64) (*clientRecord, error) {
	c, err := load[clientRecord](r, nameClient(n))
	if errors.Is(err, keystore.ErrNotFound) {
		return nil, fmt.Errorf("client: %w", ErrNotFound)
	}
	return c, err
}

// clientNamed reads a client by name.
func (s *Service) clientNamed(r keystore.Reader, name string) (*clientRecord, error) {
	n, err := lookUp(r, nameClientName(s.store.Index(domainClient, []byte(name))), []byte(name))
	if err != nil {
		return nil, fmt.Errorf("client %q: %w", name, err)
	}
	return loadClient(r, n)
}

// Client returns the client of a name.
func (s *Service) Client(name string) (Client, error) {
	var c Client
	err := s.store.View(func(r keystore.Reader) error {
		rec, err := s.clientNamed(r, name)
		if err == nil {
			c = rec.view()
		}
		return err
	})
	return c, err
}

// Clients returns up to limit clients in the order of their numbers, from the first one after number after.
func (s *Service) Clients(after uint64, limit int) ([]Client, error) {
	var list []Client
	err := s.store.View(func(r keystore.Reader) error {
		return r.ScanAfter(nameClients(), nameClient(after), func(n keystore.Name, b []byte) error {
			if len(list) >= limit {
				return keystore.ErrStop
			}
			c, err := decode[clientRecord](n, b)
			if err == nil {
				list = append(list, c.view())
			}
			return err
		})
	})
	return list, err
}

// SetGrants replaces the grants of a client. Tokens it has keep what they permit until they end or are revoked.
func (s *Service) SetGrants(ctx context.Context, name string, grants []Grant) error {
	if err := checkGrants(grants); err != nil {
		return err
	}
	return s.store.Update(ctx, func(tx *keystore.Tx) error {
		c, err := s.clientNamed(tx, name)
		if err != nil {
			return err
		}
		c.Grants = slices.Clone(grants)
		if err := put(tx, nameClient(c.Number), c); err != nil {
			return err
		}
		return s.audit(ctx, tx, auditEvent{Event: "client.granted", Client: name, Detail: describe(grants)})
	})
}

func checkGrants(grants []Grant) error {
	if len(grants) > maxGrants {
		return fmt.Errorf("%w: more than %d grants", ErrInvalid, maxGrants)
	}
	var errs []error
	for _, g := range grants {
		errs = append(errs, g.Validate())
	}
	return errors.Join(errs...)
}

// describe lists grants in one line, for audit records.
func describe(grants []Grant) string {
	var b []byte
	for i, g := range grants {
		if i > 0 {
			b = append(b, ", "...)
		}
		switch {
		case g.Group != "":
			b = fmt.Appendf(b, "%s/%s: %v", g.Audience, g.Group, g.Roles)
		case g.Pattern != "":
			b = fmt.Appendf(b, "%s/pattern %s: %v", g.Audience, g.Pattern, g.Roles)
		default:
			b = fmt.Appendf(b, "%s: %v on %x", g.Audience, g.Roles, g.AdminName)
		}
	}
	return string(b)
}

// checkName returns what is wrong with the name of a device or an audience.
func checkName(what, name string) error {
	if name == "" || len(name) > maxName {
		return fmt.Errorf("%w: %s of %d bytes, not 1 to %d", ErrInvalid, what, len(name), maxName)
	}
	for i := range len(name) {
		if c := name[i]; c <= ' ' || c > '~' || c == '"' || c == '\\' {
			return fmt.Errorf("%w: %s %q has characters other than printable ASCII without blanks", ErrInvalid, what, name)
		}
	}
	return nil
}
