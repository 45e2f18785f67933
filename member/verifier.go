package member

import (
	"context"
	"fmt"
	"sync"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/grouposcore"
	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// Verifier checks the countersignatures of a group's messages, as a gateway does
// that is no member: it cannot read them (ace-key-groupcomm-oscore, Sections
// 9.5.2 and 9.6). It is safe for concurrent use.
//
// It is not told of rekeyings and of new members: after grouposcore.ErrNoContext
// or ErrNoCredential the caller decides whether to Update it. Anybody can send
// messages with such effects, so that should be done at a limited rate.
type Verifier struct {
	d     *Device
	group string

	mu      sync.RWMutex
	checker *grouposcore.Checker
	version uint64
}

// Verifier makes a verifier of a group, for which the device needs the role.
// A member of the group cannot be one: it has the keys.
func (d *Device) Verifier(ctx context.Context, group string) (*Verifier, error) {
	if err := ace.CheckGroupName(group); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	if _, err := d.Group(group); err == nil {
		return nil, fmt.Errorf("%w: %s", ErrAlreadyMember, group)
	}
	v := &Verifier{d: d, group: group}
	return v, v.Update(ctx)
}

// Update gets the verification data of now, with the credentials of the Group
// Manager and of the members. After an error the former ones stay in use.
func (v *Verifier) Update(ctx context.Context) error {
	k, err := v.data(ctx)
	if err != nil {
		return err
	}
	gm, err := v.managerCredential(ctx, k.Key)
	if err != nil {
		return err
	}
	creds, err := v.credentials(ctx, k)
	if err != nil {
		return err
	}
	c, err := grouposcore.NewChecker(grouposcore.CheckerParams{
		Gid: k.Key.Gid, SignatureEncryptionKey: k.SignatureEncryptionKey, HKDF: k.Key.HKDF,
		GroupEnc: k.Key.GroupEnc, Signature: k.Key.Signature, AEAD: k.Key.AEAD, KeyAgreement: k.Key.KeyAgreement,
		CredentialFormat: k.Key.CredentialFormat, GMCredential: gm,
	}, creds)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrManager, err)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.checker, v.version = c, k.Version
	return nil
}

// Version is that of the keying material whose messages are checked.
func (v *Verifier) Version() uint64 {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.version
}

// Request is [grouposcore.Checker.CheckRequest].
func (v *Verifier) Request(m message.Message) (*grouposcore.Checked, grouposcore.Sender, error) {
	return v.current().CheckRequest(m)
}

// Response is [grouposcore.Checker.CheckResponse].
func (v *Verifier) Response(m message.Message, x *grouposcore.Checked, from []byte) (grouposcore.Sender, error) {
	return v.current().CheckResponse(m, x, from)
}

func (v *Verifier) current() *grouposcore.Checker {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.checker
}

// request makes a request about the group.
func (v *Verifier) request(op string, code codes.Code, resource string, payload []byte) gmRequest {
	return gmRequest{
		op: op, code: code, path: "ace-group/" + v.group + "/" + resource, format: ace.ContentFormatGroupcomm, payload: payload,
		scope: ace.Scope{{Group: v.group, Roles: ace.RoleVerifier}},
	}
}

func (v *Verifier) data(ctx context.Context) (*groupcomm.KeyResponse, error) {
	r, err := v.d.manager(ctx, v.request("verification data", codes.GET, "verif-data", nil))
	if err != nil {
		return nil, err
	}
	k, err := groupcomm.ParseKeyResponse(r.Payload)
	switch {
	case err != nil:
		return nil, err
	case k.SignatureEncryptionKey == nil:
		return nil, fmt.Errorf("%w: verification data without sign_enc_key", ErrManager)
	case k.Key.CredentialFormat != cose.FormatCCS:
		return nil, fmt.Errorf("%w: credentials of format %d", ErrUnsupported, k.Key.CredentialFormat)
	}
	return k, nil
}

// managerCredential gets the Group Manager's credential and verifies the proof
// over a nonce of this request.
func (v *Verifier) managerCredential(ctx context.Context, k groupcomm.KeyMaterial) ([]byte, error) {
	nonce, err := v.d.random(nonceSize)
	if err != nil {
		return nil, err
	}
	q := v.request("credential of the group manager", coapmsg.FETCH, "kdc-cred", groupcomm.KDCCredRequest{Nonce: nonce}.Marshal())
	r, err := v.d.manager(ctx, q)
	if err != nil {
		return nil, err
	}
	c, err := groupcomm.ParseKDCCred(r.Payload)
	if err != nil {
		return nil, err
	}
	cred, err := cose.ParseCredential(k.CredentialFormat, c.Credential)
	if err == nil {
		err = groupcomm.VerifySignature(cred.PublicKey(), k.Signature, groupcomm.KDCPoP(nonce, c.Nonce), c.Evidence)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: it did not prove its identity: %w", ErrManager, err)
	}
	return c.Credential, nil
}

// credentials gets those of all members.
func (v *Verifier) credentials(ctx context.Context, k *groupcomm.KeyResponse) (*grouposcore.StaticCredentials, error) {
	r, err := v.d.manager(ctx, v.request("credentials", codes.GET, "creds", nil))
	if err != nil {
		return nil, err
	}
	out := new(grouposcore.StaticCredentials)
	p, err := groupcomm.ParseCredsResponse(r.Payload)
	if err != nil || p == nil {
		return out, err
	}
	if p.Version != k.Version {
		return nil, fmt.Errorf("%w: the group was rekeyed meanwhile", ErrStaleKey)
	}
	for _, one := range p.Peers {
		cred, err := cose.ParseCredential(k.Key.CredentialFormat, one.Credential)
		if err != nil || len(one.SenderID) > maxSenderID {
			v.d.cfg.Log.Warn("credential of a member is unusable", "group", v.group, "sender", one.SenderID, "err", err)
			continue
		}
		out.Set(one.SenderID, cred)
	}
	return out, nil
}
