package member

import (
	"context"
	"errors"
	"fmt"

	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/secret"
	"github.com/cohort-iot/cohort/keystore"
)

// identity is a key pair of the device with the credential that others know it
// by. There is one for each curve that a group of the device asked for; it is
// made at first need and kept. A group in which it was renewed has its own.
type identity struct {
	key  *cose.PrivateKey
	cred *cose.Credential
}

// identityFor returns the key pair on a curve. A new one is durable before it
// is returned.
func (d *Device) identityFor(ctx context.Context, crv cose.Curve) (*identity, error) {
	if err := d.identityTurn.take(ctx); err != nil {
		return nil, err
	}
	defer d.identityTurn.leave()
	d.mu.Lock()
	id := d.identities[crv]
	d.mu.Unlock()
	if id != nil {
		return id, nil
	}
	id, err := d.loadIdentity(crv)
	if errors.Is(err, keystore.ErrNotFound) {
		id, err = d.makeIdentity(ctx, crv)
	}
	if err != nil {
		return nil, fmt.Errorf("key pair on %v: %w", crv, err)
	}
	d.mu.Lock()
	d.identities[crv] = id
	d.mu.Unlock()
	return id, nil
}

func (d *Device) loadIdentity(crv cose.Curve) (*identity, error) {
	var rec identityRecord
	err := d.cfg.Store.View(func(r keystore.Reader) error {
		b, err := r.Get(identityName(crv))
		if err != nil {
			return err
		}
		return decode(identityName(crv), b, &rec)
	})
	if err != nil {
		return nil, err
	}
	defer secret.Bytes(rec.Private).Wipe()
	return rec.identity(crv)
}

func (d *Device) makeIdentity(ctx context.Context, crv cose.Curve) (*identity, error) {
	rec, err := d.newKeyPair(crv)
	if err != nil {
		return nil, err
	}
	defer secret.Bytes(rec.Private).Wipe()
	b, err := encode(rec)
	if err != nil {
		return nil, err
	}
	defer secret.Bytes(b).Wipe()
	err = d.cfg.Store.Update(ctx, func(tx *keystore.Tx) error { return tx.Put(identityName(crv), b) })
	if err != nil {
		return nil, err
	}
	return rec.identity(crv)
}
