package main

import (
	"crypto/rand"
	"fmt"
	"strings"

	"github.com/plgd-dev/go-coap/v3/message"

	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/grouposcore"
	"github.com/cohort-iot/cohort/internal/cborx"
	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/internal/secret"
)

// credentialSize is the length of every credential in bytes.
const credentialSize = 100

// newIdentity makes a member with a fresh key and a credential of
// credentialSize bytes.
func newIdentity(id []byte) (grouposcore.Identity, error) {
	none := grouposcore.Identity{}
	key, err := cose.GenerateKey(cose.CurveEd25519, rand.Reader)
	if err != nil {
		return none, err
	}
	for n := range credentialSize {
		cred, err := cose.NewCCS(strings.Repeat("m", n), key.Public())
		if err != nil {
			return none, err
		}
		if len(cred.Bytes()) == credentialSize {
			return grouposcore.Identity{SenderID: id, Credential: cred, PrivateKey: key}, nil
		}
	}
	return none, fmt.Errorf("no credential of %d bytes", credentialSize)
}

// group is a group of members who know each other's credentials.
type group struct {
	params grouposcore.Params
	creds  *grouposcore.StaticCredentials
}

func newGroup() (*group, error) {
	manager, err := newIdentity([]byte{})
	if err != nil {
		return nil, err
	}
	return &group{
		creds: new(grouposcore.StaticCredentials),
		params: grouposcore.Params{
			Gid: []byte{1, 2, 3, 4}, MasterSecret: secret.Bytes("0123456789abcdef"), MasterSalt: secret.Bytes("saltsalt"),
			AEAD: cose.AlgAESCCM16_64_128, KeyAgreement: cose.AlgECDHSSHKDF256,
			GroupEnc: cose.AlgAESCCM16_64_128, Signature: cose.AlgEdDSA,
			GMCredential: manager.Credential.Bytes(),
		},
	}, nil
}

// member adds a member and returns its context and identity. Others get its
// credential parsed from its bytes, as from the Group Manager.
func (g *group) member(id []byte) (*grouposcore.Context, grouposcore.Identity, error) {
	identity, err := newIdentity(id)
	if err != nil {
		return nil, identity, err
	}
	cred, err := cose.ParseCredential(cose.FormatCCS, identity.Credential.Bytes())
	if err != nil {
		return nil, identity, err
	}
	g.creds.Set(id, cred)
	seq, err := numbers()
	if err != nil {
		return nil, identity, err
	}
	ctx, err := grouposcore.NewContext(g.params, identity, seq, g.creds)
	return ctx, identity, err
}

// externalAAD is the aad_array of a request
// (draft-ietf-core-oscore-groupcomm-28, Section 3.4), for its length.
func externalAAD(p *grouposcore.Params, sender []byte, protected message.Message) ([]byte, error) {
	raw, _ := coapmsg.FindOSCORE(protected.Options)
	o, err := coapmsg.ParseOSCOREOption(raw)
	if err != nil {
		return nil, err
	}
	b := cborx.AppendArray(nil, 9)
	b = cborx.AppendUint(b, 1)
	b = cborx.AppendArray(b, 4)
	for _, a := range []cose.Algorithm{p.AEAD, p.GroupEnc, p.Signature, p.KeyAgreement} {
		b = cborx.AppendInt(b, int64(a))
	}
	for _, v := range [][]byte{o.KID, o.PIV, nil, o.KIDContext, raw, sender, p.GMCredential} {
		b = cborx.AppendBytes(b, v)
	}
	return b, nil
}
