package grouposcore

import (
	"bytes"
	"fmt"

	"github.com/plgd-dev/go-coap/v3/message"

	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/cborx"
	"github.com/cohort-iot/cohort/internal/secret"
)

// CheckerParams is what the Group Manager gives an external signature checker
// (Section 12.3). It suffices to verify countersignatures, not to decrypt.
type CheckerParams struct {
	Gid                    []byte
	SignatureEncryptionKey secret.Bytes
	HKDF                   cose.Algorithm // 0 means HMAC 256/256
	GroupEnc, Signature    cose.Algorithm
	// AEAD and KeyAgreement are 0 if the group has no pairwise mode.
	AEAD, KeyAgreement cose.Algorithm
	CredentialFormat   cose.CredentialFormat // 0 means CCS
	GMCredential       []byte
	Countersign        cose.CountersignForm
}

// Checker is an external signature checker (Section 7.5): not a member, it
// verifies the countersignature of messages in group mode, as a gateway may
// before it forwards them. It keeps no replay state. It is safe for concurrent
// use.
type Checker struct{ group *common }

// Format names the group, whatever the verb.
func (c *Checker) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "signature checker %x", c.group.gid) }

// Checked is a request that a checker has seen. It is needed for the responses,
// which the caller matches with it by Token.
type Checked struct{ req binding }

// NewChecker makes a checker. Slices of p are copied. Errors wrap ErrParams.
func NewChecker(p CheckerParams, creds CredentialSource) (*Checker, error) {
	if creds == nil {
		return nil, fmt.Errorf("%w: no credential source", ErrParams)
	}
	group := Params{
		Gid: bytes.Clone(p.Gid), HKDF: p.HKDF, AEAD: p.AEAD, KeyAgreement: p.KeyAgreement, GroupEnc: p.GroupEnc, Signature: p.Signature,
		CredentialFormat: p.CredentialFormat, GMCredential: p.GMCredential, Countersign: p.Countersign,
		MasterSecret: p.SignatureEncryptionKey, // stands in: Validate asks for one
	}
	if err := group.Validate(); err != nil {
		return nil, err
	}
	if !group.groupMode() {
		return nil, fmt.Errorf("%w: nothing is signed without group mode", ErrParams)
	}
	group.MasterSecret = nil
	enc, _ := p.GroupEnc.Cipher()
	if len(p.SignatureEncryptionKey) != enc.KeySize {
		return nil, fmt.Errorf("%w: signature encryption key of %d bytes", ErrParams, len(p.SignatureEncryptionKey))
	}
	c := &common{
		params: group, hkdf: group.hkdf(), gid: group.Gid, seKey: p.SignatureEncryptionKey.Clone(), creds: creds,
		encTag: enc.TagSize, encMax: p.GroupEnc.MaxPlaintext(),
		aadHead: aadHead(&group), aadTail: cborx.AppendBytes(nil, p.GMCredential),
	}
	c.scratch.New = func() any { return new(scratch) }
	return &Checker{c}, nil
}

// CheckRequest verifies the countersignature of a request in group mode. Of a
// pairwise request, which it cannot check, it returns the Checked beside
// ErrModeUnavailable: the response may be in group mode.
func (c *Checker) CheckRequest(m message.Message) (*Checked, Sender, error) {
	raw, opt, err := parseOption(m)
	if err != nil {
		return nil, Sender{}, err
	}
	if opt.KID == nil || opt.KIDContext == nil || opt.PIV == nil {
		return nil, Sender{}, fmt.Errorf("%w: request without kid, kid context or partial iv", ErrMalformed)
	}
	if !bytes.Equal(opt.KIDContext, c.group.gid) {
		return nil, Sender{}, ErrNoContext
	}
	x := &Checked{req: binding{kid: append([]byte{}, opt.KID...), piv: bytes.Clone(opt.PIV), gid: c.group.gid}}
	if !opt.Group {
		return x, Sender{}, &modeError{PairwiseMode}
	}
	e := envelope{mode: GroupMode, request: true, req: x.req, option: raw, genID: x.req.kid, piv: x.req.piv}
	s, err := c.check(&e, x.req.kid, m.Payload)
	if err != nil {
		return nil, Sender{}, err
	}
	s.PartialIV = x.req.piv
	return x, s, nil
}

// CheckResponse verifies the countersignature of a response in group mode to
// the request x. What the response leaves out is taken from the request. If it
// has no kid, from says by other means, such as the source address, which
// Sender ID to take; nil if that is not known.
func (c *Checker) CheckResponse(m message.Message, x *Checked, from []byte) (Sender, error) {
	raw, opt, err := parseOption(m)
	if err != nil {
		return Sender{}, err
	}
	if !opt.Group {
		return Sender{}, &modeError{PairwiseMode}
	}
	if opt.KIDContext != nil && !bytes.Equal(opt.KIDContext, c.group.gid) {
		return Sender{}, ErrNoContext
	}
	id := opt.KID
	if id == nil {
		id = from
	}
	if id == nil {
		return Sender{}, fmt.Errorf("%w: no kid in the response", ErrMalformed)
	}
	e := envelope{mode: GroupMode, req: x.req, option: raw, genID: x.req.kid, piv: x.req.piv}
	if opt.PIV != nil {
		e.genID, e.piv = id, opt.PIV
	}
	s, err := c.check(&e, id, m.Payload)
	if err != nil {
		return Sender{}, err
	}
	s.PartialIV = bytes.Clone(opt.PIV)
	return s, nil
}

// check verifies the countersignature with the credential of (Gid, id).
func (c *Checker) check(e *envelope, id, payload []byte) (Sender, error) {
	g := c.group
	cred, err := g.creds.Credential(g.gid, id)
	if err != nil {
		return Sender{}, err
	}
	if cred == nil {
		return Sender{}, ErrNoCredential
	}
	r := &recipient{id: append([]byte{}, id...), cred: cred}
	if err := g.params.checkCredential(cred); err != nil {
		return Sender{}, err
	}
	if r.sigLen, err = cred.PublicKey().SignatureSize(g.params.Signature); err != nil {
		return Sender{}, fmt.Errorf("%w: %w", ErrBadCredential, err)
	}
	if len(payload) < 1+g.encTag+r.sigLen {
		return Sender{}, errLength
	}
	s := g.getScratch()
	defer g.putScratch(s)
	g.additionalData(s, e, cred)
	if err := g.verifySignature(s, e, r, payload); err != nil {
		return Sender{}, err
	}
	return Sender{ID: r.id, Gid: g.gid, Credential: cred, Mode: GroupMode}, nil
}
