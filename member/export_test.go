package member

import (
	"context"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/keystore"
)

// TakeRekey hands the group a rekeying message as if it had come to the control
// resource.
func (g *Group) TakeRekey(ctx context.Context, m *groupcomm.RekeyMessage) error {
	return g.rekey(ctx, m)
}

// RekeyMessage makes the message of a version, under the keys of another one.
func (g *Group) RekeyMessage(version uint64, gid, secret []byte, stale ...[]byte) *groupcomm.RekeyMessage {
	return &groupcomm.RekeyMessage{
		MasterSecret: secret, Gid: gid, Version: version, Expiry: groupcomm.Expiry{In: 3600}, StaleIDs: append([][]byte{}, stale...),
	}
}

// SequenceName is where the group's sequence numbers are stored now.
func (g *Group) SequenceName() string {
	return sequenceName(g.number, g.record().Epoch.Serial).String()
}

// Learn tells the group of another member, with roles as the Group Manager
// would give them.
func (g *Group) Learn(ctx context.Context, other *Group, roles ace.Roles) error {
	return g.learnFrom(ctx, other, other, roles)
}

// LearnAs tells the group of the Sender ID of one member with the credential of
// another.
func (g *Group) LearnAs(ctx context.Context, id, cred *Group) error {
	return g.learnFrom(ctx, id, cred, ace.RoleRequester|ace.RoleResponder)
}

func (g *Group) learnFrom(ctx context.Context, id, cred *Group, roles ace.Roles) error {
	rec, own := id.record(), cred.record()
	who, err := cred.identity(ctx, &own)
	if err != nil {
		return err
	}
	g.learn(ctx, groupcomm.Peers{{Credential: who.Credential.Bytes(), Roles: roles, SenderID: rec.Epoch.SenderID}}, cose.FormatCCS)
	return nil
}

// NumbersLeft is how many sequence numbers the epoch has left.
func (g *Group) NumbersLeft() uint64 { return g.using().seq.Remaining() }

// RenewSenderID asks for a new Sender ID.
func (g *Group) RenewSenderID(ctx context.Context) error {
	end, err := g.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	return g.renewSenderID(ctx)
}

// Compare asks for the group's keying material and compares it with that in use.
func (g *Group) Compare(ctx context.Context) error { return g.show(ctx) }

// UseCredential gives the device a key pair on Ed25519 whose credential has a
// subject of any length.
func (d *Device) UseCredential(ctx context.Context, subject string) error {
	rec, err := d.newKeyPair(cose.CurveEd25519)
	if err != nil {
		return err
	}
	id, err := rec.identity(rec.Curve)
	if err != nil {
		return err
	}
	cred, err := cose.NewCCS(subject, id.key.Public())
	if err != nil {
		return err
	}
	rec.Credential = cred.Bytes()
	b, err := encode(rec)
	if err != nil {
		return err
	}
	d.mu.Lock()
	delete(d.identities, cose.CurveEd25519)
	d.mu.Unlock()
	return d.cfg.Store.Update(ctx, func(tx *keystore.Tx) error { return tx.Put(identityName(cose.CurveEd25519), b) })
}
