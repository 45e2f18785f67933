package manager

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/secret"
	"github.com/cohort-iot/cohort/keystore"
)

// managerKey is the record of a key pair of the Group Manager. The store seals it.
type managerKey struct {
	Schema     uint8                 `cbor:"0,keyasint"`
	Curve      cose.Curve            `cbor:"1,keyasint"`
	Format     cose.CredentialFormat `cbor:"2,keyasint"`
	Private    secret.Bytes          `cbor:"3,keyasint"`
	Credential []byte                `cbor:"4,keyasint"`
	Created    int64                 `cbor:"5,keyasint"`
}

func (k *managerKey) schema() uint8 { return k.Schema }

// identity is a key pair of the Group Manager ready for use.
type identity struct {
	private    *cose.PrivateKey
	credential *cose.Credential
}

// keyCache keeps decoded key pairs; there are as many as algorithms in use.
type keyCache struct {
	mu   sync.Mutex
	keys map[keySlot]*identity
}

// slot tells which key pair serves a group now.
func (h *head) slot() keySlot {
	s := h.Config.slot()
	s.Generation = h.KeyGeneration
	return s
}

// slot tells which kind of key pair serves a group, in its first generation.
func (c GroupConfig) slot() keySlot {
	return keySlot{Algorithm: c.Signature, Curve: c.keyCurve(), Format: c.CredentialFormat}
}

// identity gives a key pair of the Group Manager. It makes none: one that is gone
// was replaced since the group's record was read, so the caller's state is stale.
func (s *Service) identity(slot keySlot) (*identity, error) {
	s.keys.mu.Lock()
	defer s.keys.mu.Unlock()
	id, err := s.knownIdentity(slot)
	if errors.Is(err, keystore.ErrNotFound) {
		return nil, fault(KindUnavailable, errStale, "the Group Manager's key was replaced, try again")
	}
	return id, err
}

// ensureIdentity makes a key pair of the Group Manager if there is none yet, for a
// group or a generation that is about to use it. It is called outside any
// transaction.
func (s *Service) ensureIdentity(ctx context.Context, slot keySlot) error {
	s.keys.mu.Lock()
	defer s.keys.mu.Unlock()
	_, err := s.knownIdentity(slot)
	if errors.Is(err, keystore.ErrNotFound) {
		return s.makeIdentity(ctx, slot)
	}
	return err
}

// knownIdentity reads a key pair, with s.keys.mu held; keystore.ErrNotFound passes
// through.
func (s *Service) knownIdentity(slot keySlot) (*identity, error) {
	if id := s.keys.keys[slot]; id != nil {
		return id, nil
	}
	var rec *managerKey
	err := s.view(func(r reader) (err error) {
		rec, err = load[managerKey](r, nameManagerKey(slot))
		return err
	})
	if err != nil {
		return nil, err
	}
	id, err := rec.decode()
	if err != nil {
		return nil, fault(KindInternal, err, "")
	}
	if s.keys.keys == nil {
		s.keys.keys = map[keySlot]*identity{}
	}
	s.keys.keys[slot] = id
	return id, nil
}

// makeIdentity makes a key pair. A generation before the one in use is never made
// again: it was forgotten.
func (s *Service) makeIdentity(ctx context.Context, slot keySlot) error {
	priv, err := cose.GenerateKey(slot.Curve, s.rand)
	if err != nil {
		return fault(KindConfiguration, err, "no key can be made for this curve")
	}
	cred, err := s.ownCredential(slot, priv)
	if err != nil {
		return fault(KindConfiguration, err, "no credential can be made in this format")
	}
	return s.update(ctx, func(t *txn) error {
		used, err := t.keyGeneration(slot)
		if err != nil {
			return err
		}
		if slot.Generation < used {
			return fault(KindUnavailable, errStale, "the Group Manager's key was replaced, try again")
		}
		t.audit(AuditEvent{Event: "manager.key-made", Detail: slot.String()})
		return t.put(nameManagerKey(slot), &managerKey{
			Schema: recordSchema, Curve: slot.Curve, Format: slot.Format,
			Private: priv.Secret(), Credential: cred.Bytes(), Created: t.now.Unix(),
		})
	})
}

// ownCredential makes a credential of the Group Manager for its key. A CWT or a
// certificate is signed with that key itself: members have the credential from the
// Group Manager, which proves to have the key.
func (s *Service) ownCredential(slot keySlot, priv *cose.PrivateKey) (*cose.Credential, error) {
	switch slot.Format {
	case cose.FormatCWT:
		return cose.NewCWT(s.opt.Subject, priv.Public(), slot.Algorithm, priv)
	case cose.FormatX5Chain, cose.FormatX5Bag:
		return cose.NewX509(slot.Format, s.opt.Subject, priv, s.clock.Now(), s.rand)
	case cose.FormatC509Chain, cose.FormatC509Bag:
		return cose.NewC509(slot.Format, s.opt.Subject, priv, s.clock.Now(), s.rand)
	}
	return cose.NewCCS(s.opt.Subject, priv.Public())
}

// String tells the slot in audit records.
func (k keySlot) String() string {
	return fmt.Sprintf("algorithm %v, curve %d, credential format %d, generation %d", k.Algorithm, k.Curve, k.Format, k.Generation)
}

func (k *managerKey) decode() (*identity, error) {
	priv, err := cose.NewPrivateKey(k.Curve, k.Private)
	if err != nil {
		return nil, err
	}
	cred, err := cose.ParseCredential(k.Format, k.Credential)
	if err != nil {
		return nil, err
	}
	if !cred.PublicKey().Equal(priv.Public()) {
		return nil, errors.New("the credential of the Group Manager is not that of its key")
	}
	return &identity{private: priv, credential: cred}, nil
}
