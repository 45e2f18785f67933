package authserver

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cohort-iot/cohort/internal/secret"
	"github.com/cohort-iot/cohort/keystore"
	"github.com/cohort-iot/cohort/oscore"
)

// Peer names somebody this server shares an association with.
type Peer struct {
	Kind   PeerKind
	Number uint64
}

// PeerKind says what a peer is.
type PeerKind uint8

// The kinds.
const (
	PeerClient PeerKind = 1 // a device, or an administrator
	PeerRS     PeerKind = 2 // a resource server that is another process
)

// String returns "client 3" or "resource server 2".
func (p Peer) String() string {
	if p.Kind == PeerRS {
		return fmt.Sprintf("resource server %d", p.Number)
	}
	return fmt.Sprintf("client %d", p.Number)
}

// serverID is this server's OSCORE Sender ID towards every peer. No peer has it: those of clients are numbers from 1, those of
// resource servers such numbers after a zero byte.
var serverID = [...]byte{0}

// peerID returns the OSCORE Sender ID of a peer.
func (p Peer) id() []byte {
	if p.Kind == PeerRS {
		return append([]byte{0}, numberID(p.Number)...)
	}
	return numberID(p.Number)
}

// peerOf gives back the peer of an identifier.
func peerOf(id []byte) (Peer, bool) {
	kind := PeerClient
	if len(id) > 0 && id[0] == 0 {
		kind, id = PeerRS, id[1:]
	}
	n, ok := idNumber(id)
	return Peer{kind, n}, ok
}

// Association is what the endpoint needs to talk to a peer: its static secret, only to derive one-time contexts from.
type Association struct {
	Peer   Peer // for Began, Issue, Introspect and TRL
	Name   string
	Params oscore.Params // this server's side
}

// PeerByID returns the association with the peer whose OSCORE Sender ID is id. Errors wrap [ErrNotFound] or [ErrDisabled].
func (s *Service) PeerByID(id []byte) (*Association, error) {
	p, ok := peerOf(id)
	if !ok {
		return nil, fmt.Errorf("peer: %w", ErrNotFound)
	}
	a := &Association{Peer: p}
	err := s.store.View(func(r keystore.Reader) error {
		c, err := loadPeer(r, p)
		if err != nil {
			return err
		}
		a.Name, a.Params = c.name, oscore.Params{
			MasterSecret: c.secret.Bytes(), MasterSalt: c.salt.Bytes(), SenderID: slices.Clone(serverID[:]), RecipientID: p.id(),
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return a, nil
}

// peerRecord is what clients and resource servers have in common.
type peerRecord struct {
	name          string
	secret, salt  secret.Hidden
	administrator bool
}

// loadPeer reads a peer that may be served; [ErrNotFound] or [ErrDisabled] if there is none.
func loadPeer(r keystore.Reader, p Peer) (*peerRecord, error) {
	switch p.Kind {
	case PeerClient:
		c, err := loadClient(r, p.Number)
		if err != nil {
			return nil, err
		}
		if c.Revoked != 0 {
			return nil, fmt.Errorf("client %q: %w", c.Name, ErrDisabled)
		}
		return &peerRecord{name: c.Name, secret: c.Secret, salt: c.Salt, administrator: c.Administrator}, nil
	case PeerRS:
		rs, err := load[rsRecord](r, nameRS(p.Number))
		if errors.Is(err, keystore.ErrNotFound) || (err == nil && rs.Secret.IsZero()) {
			return nil, fmt.Errorf("resource server: %w", ErrNotFound)
		}
		if err != nil {
			return nil, err
		}
		if rs.Revoked != 0 {
			return nil, fmt.Errorf("resource server %q: %w", rs.Audience, ErrDisabled)
		}
		return &peerRecord{name: rs.Audience, secret: rs.Secret, salt: rs.Salt}, nil
	}
	return nil, fmt.Errorf("peer: %w", ErrNotFound)
}

// alarm counts and records that a secret is in use twice, and tells it.
func (s *Service) alarm(ctx context.Context, p Peer) error {
	name := ""
	err := s.store.Update(ctx, func(tx *keystore.Tx) error {
		e := auditEvent{Event: "client.secret-in-use-twice"}
		if p.Kind == PeerRS {
			rs, err := load[rsRecord](tx, nameRS(p.Number))
			if err != nil {
				return err
			}
			rs.Alarms++
			name, e.Event, e.Audience = rs.Audience, "rs.secret-in-use-twice", rs.Audience
			return errors.Join(put(tx, nameRS(p.Number), rs), s.audit(ctx, tx, e))
		}
		c, err := loadClient(tx, p.Number)
		if err != nil {
			return err
		}
		c.Alarms++
		name, e.Client = c.Name, c.Name
		return errors.Join(put(tx, nameClient(p.Number), c), s.audit(ctx, tx, e))
	})
	if err != nil {
		return err
	}
	s.cfg.Events.SecretInUseTwice(name)
	return nil
}
