package oracle

import (
	"fmt"

	"github.com/plgd-dev/go-coap/v3/message"

	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/grouposcore"
	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/oscore"
)

// group is one version of a group's keying material.
type group struct {
	name   string
	params grouposcore.Params
	keys   *keys
	sig    int // bytes of a countersignature
	ear    *grouposcore.Context
}

// AddGroup makes one version of a group's keying material known. Only requests
// in group mode with an AEAD algorithm are judged, which is what tells whether
// two members have one Sender ID. Two secrets under one Gid are an error, unless
// ReassignedGids: then the last call says which ones the next messages are under.
func (o *Oracle) AddGroup(name string, p grouposcore.Params, creds grouposcore.CredentialSource) error {
	version := string(p.Gid) + string(p.MasterSecret)
	if g := o.versions[version]; g != nil {
		o.groups[string(p.Gid)] = g
		return nil
	}
	if g := o.groups[string(p.Gid)]; g != nil && !o.ReassignedGids {
		if !g.params.MasterSecret.Equal(p.MasterSecret) || !g.params.MasterSalt.Equal(p.MasterSalt) {
			return fmt.Errorf("%w: Gid %x has two Master Secrets, in %s and %s", ErrReuse, p.Gid, g.name, name)
		}
		return nil
	}
	k, err := newKeys(name, oscore.Params{MasterSecret: p.MasterSecret, MasterSalt: p.MasterSalt, HKDF: p.HKDF, AEAD: p.GroupEnc, IDContext: p.Gid})
	if err != nil {
		return err
	}
	ear, err := grouposcore.NewContext(p, grouposcore.Identity{}, oscore.NewEphemeralSequence(), creds)
	if err != nil {
		return err
	}
	g := &group{name: name, params: p, keys: k, ear: ear}
	switch p.Signature {
	case cose.AlgEdDSA, cose.AlgEd25519, cose.AlgES256:
		g.sig = 64
	default:
		return fmt.Errorf("oracle: signatures of %v are not known here", p.Signature)
	}
	o.groups[string(p.Gid)], o.versions[version] = g, g
	return nil
}

func (o *Oracle) lookGroup(m message.Message, opt coapmsg.OSCOREOption, where string) (*Opened, error) {
	g := o.groups[string(opt.KIDContext)]
	if g == nil || !coapmsg.IsRequest(m.Code) || len(m.Payload) < g.sig {
		return nil, fmt.Errorf("%w: %s", ErrUnknown, where)
	}
	k, err := g.keys.of(opt.KID)
	if err != nil {
		return nil, err
	}
	nonce := oscore.AppendNonce(nil, g.keys.size.NonceSize, opt.KID, opt.PIV, g.keys.iv)
	again, err := o.Note(k.raw, nonce, m.Payload[:len(m.Payload)-g.sig], where+" of "+g.name)
	if err != nil {
		return nil, err
	}
	out := &Opened{Who: g.name, Group: true, Again: again}
	if again {
		return out, nil
	}
	inner, _, _, err := g.ear.UnprotectRequest(m)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrUnknown, where, err)
	}
	out.Inner = inner
	return out, nil
}
