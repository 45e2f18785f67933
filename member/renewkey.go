package member

import (
	"context"
	"errors"
	"fmt"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/cose"
)

// RenewKey gives the device a new key pair in this group, and a new Sender ID
// with it, so that the others learn of the new credential as they learn of a new
// member (ace-key-groupcomm-oscore, Sections 9.4 and 9.2). Other groups of the
// device keep theirs.
//
// If the Group Manager cannot be reached the error says so; the device goes on
// with its present key pair and completes the renewal by itself.
func (g *Group) RenewKey(ctx context.Context) error {
	if g.roles().MonitorOnly() {
		return fmt.Errorf("%w: a monitor of group %s has no key pair there", ErrRole, g.name)
	}
	end, err := g.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	if _, err := g.current(); err != nil {
		return err
	}
	rec := g.record()
	if rec.Next == nil {
		_, k, err := rec.Epoch.params()
		if err != nil {
			return err
		}
		crv, err := curveOf(k)
		if err != nil {
			return err
		}
		if rec.Next, err = g.d.newKeyPair(crv); err != nil {
			return err
		}
		if err := g.saveRecord(ctx, rec); err != nil {
			return err
		}
	}
	err = g.renewSenderID(ctx)
	if err != nil {
		g.wake() // to go on with it
	}
	return g.gone(ctx, err)
}

// saveRecord changes the record in the store, then in memory. The epoch must be
// the same.
func (g *Group) saveRecord(ctx context.Context, rec groupRecord) error {
	if err := g.save(ctx, rec, 0); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.rec = &rec
	return nil
}

// uploadCredential replaces the device's credential at the Group Manager by that
// of a new key pair. One that is refused for good is given up.
func (g *Group) uploadCredential(ctx context.Context, next *identityRecord) error {
	id, err := next.identity(next.Curve)
	if err != nil {
		return err
	}
	q := gmRequest{op: "credential update", code: codes.POST, path: g.record().Node + "/cred", format: ace.ContentFormatGroupcomm}
	for try := 1; ; try++ {
		a, _, err := g.d.associated(ctx, nil)
		if err != nil {
			return err
		}
		if q.payload, err = g.credentialUpdate(a, id); err != nil {
			return err
		}
		r, err := g.d.ask(ctx, a, q)
		switch {
		case lost(r, err):
			g.d.forget(a)
			if try == joinTries {
				return errors.Join(err, fmt.Errorf("credential update: %w: no association holds", ErrUnauthorised))
			}
			continue
		case err != nil:
			return err
		}
		if isJoinInfo(r) && try < joinTries {
			info, err := groupcomm.ParseJoinInfo(r.Payload)
			if err != nil {
				return err
			}
			a.renewChallenge(info.Challenge)
			continue
		}
		err = q.refused(r)
		if r.Code == codes.BadRequest {
			rec := g.record()
			rec.Next = nil
			err = errors.Join(err, g.saveRecord(ctx, rec))
		}
		return err
	}
}

// credentialUpdate makes the request, with a proof of possession: an empty one is
// never enough here (ace-key-groupcomm-oscore, Section 9.4).
func (g *Group) credentialUpdate(a *association, id *identity) ([]byte, error) {
	rec := g.record()
	_, k, err := rec.Epoch.params()
	if err != nil {
		return nil, err
	}
	nonce, err := g.d.random(nonceSize)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	challenge := a.challenge
	a.mu.Unlock()
	info := &groupcomm.JoinInfo{}
	if k.UsesGroupMode() {
		info.Sign = &groupcomm.SignInfo{Algorithm: k.Signature}
	} else {
		info.KDCDH = &groupcomm.KDCDHCred{CredentialFormat: k.CredentialFormat, Credential: rec.Epoch.GMCred}
	}
	scope := groupcomm.EncodeScope(ace.ScopeEntry{Group: g.name, Roles: rec.roles()})
	proof, err := evidence(id, info, groupcomm.ClientPoP(scope, challenge, nonce))
	if err != nil {
		return nil, err
	}
	return (&groupcomm.CredentialUpdate{Credential: id.cred.Bytes(), Nonce: nonce, Evidence: proof}).Marshal(), nil
}

// newKeyPair makes a key pair on a curve, as it is stored.
func (d *Device) newKeyPair(crv cose.Curve) (*identityRecord, error) {
	key, err := cose.GenerateKey(crv, d.cfg.Rand)
	if err != nil {
		return nil, err
	}
	cred, err := cose.NewCCS(d.cfg.Enrolment.Device, key.Public())
	if err != nil {
		return nil, err
	}
	return &identityRecord{Private: key.Secret(), Credential: cred.Bytes(), Curve: crv}, nil
}

// identity reads a stored key pair.
func (r *identityRecord) identity(crv cose.Curve) (*identity, error) {
	key, err := cose.NewPrivateKey(crv, r.Private)
	if err != nil {
		return nil, err
	}
	cred, err := cose.ParseCredential(cose.FormatCCS, r.Credential)
	if err != nil {
		return nil, err
	}
	return &identity{key, cred}, nil
}

// keyPair returns the device's key pair on a curve in this group: its own one if
// it was renewed here, else that which the device has everywhere.
func (g *Group) keyPair(ctx context.Context, rec *groupRecord, crv cose.Curve) (*identity, error) {
	if own := rec.Own; own != nil && own.Curve == crv {
		return own.identity(crv)
	}
	return g.d.identityFor(ctx, crv)
}

// takeUp takes the new key pair into use, in a record. It stays the next one
// until it has a Sender ID of its own.
func (r *groupRecord) takeUp() {
	if r.Next != nil {
		r.Own = r.Next
	}
}

// adopt takes the new key pair into use with a Sender ID of its own, in a record.
func (r *groupRecord) adopt() {
	if r.Next != nil {
		r.Own, r.Next = r.Next, nil
	}
}
