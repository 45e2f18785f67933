package grouposcore

import (
	"bytes"
	"crypto/cipher"
	"fmt"
	"io"

	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/secret"
	"github.com/cohort-iot/cohort/oscore"
)

// sender is the Sender Context (Section 2): what belongs to the own Sender ID.
type sender struct {
	id      []byte
	cred    *cose.Credential
	keyID   string
	priv    *cose.PrivateKey
	key     secret.Bytes // Sender Key; salt of the pairwise ones
	enc     cipher.AEAD  // Sender Key in the Group Encryption Algorithm; nil without group mode
	sigLen  int
	seq     *oscore.Sequence
	renewed bool   // not the first Sender ID under this Gid
	born    uint64 // how many Recipient Contexts had been deleted when it was derived
}

// Context is one Security Context of a group: the Common Context of one Gid,
// the own Sender Context and the Recipient Contexts of the peers heard. It is
// safe for concurrent use. A rekey makes a new Context; a new own Sender ID
// makes one that shares the Recipient Contexts ([Context.Renew]).
type Context struct {
	*common
	self *sender // nil for a silent server
}

// NewContext derives a Security Context. seq gives the own Sender Sequence
// Numbers, which must never have been used under this Gid and Sender ID; a
// silent server passes nil. creds may not be nil. Slices of p are copied.
// Errors wrap ErrParams, or ErrBadCredential for the own credential.
func NewContext(p Params, id Identity, seq *oscore.Sequence, creds CredentialSource) (*Context, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	if creds == nil {
		return nil, fmt.Errorf("%w: no credential source", ErrParams)
	}
	common, err := newCommon(p, creds)
	if err != nil {
		return nil, err
	}
	self, err := common.newSender(id, seq)
	if err != nil {
		return nil, err
	}
	return &Context{common: common, self: self}, nil
}

// newSender derives the Sender Context, or nil for a silent server.
func (c *common) newSender(id Identity, seq *oscore.Sequence) (*sender, error) {
	if err := c.params.checkIdentity(id); err != nil {
		return nil, err
	}
	if id.SenderID == nil {
		return nil, nil
	}
	if seq == nil {
		return nil, fmt.Errorf("%w: no sequence numbers", ErrParams)
	}
	s := &sender{
		id: append([]byte{}, id.SenderID...), cred: id.Credential, priv: id.PrivateKey, seq: seq,
		keyID: keyID(id.Credential), born: c.peers.deletions(),
	}
	if c.params.groupMode() {
		n, err := id.Credential.PublicKey().SignatureSize(c.params.Signature)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrBadCredential, err)
		}
		s.sigLen = n
	}
	if c.params.pairwiseMode() {
		// With both modes one key pair does both (Section 8); agreeing with
		// oneself shows that this one can.
		z, err := s.agree(id.Credential)
		if err != nil {
			return nil, fmt.Errorf("%w: own key", err)
		}
		z.Wipe()
	}
	var err error
	if s.key, err = c.memberKey(s.id); err == nil && c.params.groupMode() {
		s.enc, err = c.groupCipher(s.key)
	}
	return s, err
}

// Renew returns the Context after the Group Manager gave the endpoint a new
// Sender ID under the same Gid (Section 2.6.3.1): a new Sender Key, sequence
// numbers of its own from seq, the same Recipient Contexts and windows. The
// pairwise keys are deleted, and made anew when they are needed (Section
// 2.5.1). The old Context must protect nothing any more.
//
// Windows that are not valid remain so for requests, though Section 2.6.1.2
// would have them valid: under the same Gid old requests can be replayed.
// Responses to requests made from now on are delivered (ADR 34).
func (c *Context) Renew(id Identity, seq *oscore.Sequence) (*Context, error) {
	if id.SenderID == nil || c.self == nil {
		return nil, fmt.Errorf("%w: renewal needs an old and a new sender id", ErrParams)
	}
	if bytes.Equal(id.SenderID, c.self.id) {
		return nil, fmt.Errorf("%w: renewal with the same sender id", ErrParams)
	}
	self, err := c.newSender(id, seq)
	if err != nil {
		return nil, err
	}
	self.renewed = true
	c.peers.forgetPairwise()
	return &Context{common: c.common, self: self}, nil
}

// Gid returns a copy of the Group Identifier.
func (c *Context) Gid() []byte { return bytes.Clone(c.gid) }

// SenderID returns a copy of the own Sender ID, nil for a silent server.
func (c *Context) SenderID() []byte {
	if c.self == nil {
		return nil
	}
	return append([]byte{}, c.self.id...)
}

// Sequence returns the own Sender Sequence Numbers, nil for a silent server.
func (c *Context) Sequence() *oscore.Sequence {
	if c.self == nil {
		return nil
	}
	return c.self.seq
}

// Supports reports whether messages of a mode can be received: the algorithms
// are set (Section 6), and for the pairwise mode the endpoint is no silent
// server (Section 8).
func (c *Context) Supports(m Mode) bool {
	switch m {
	case GroupMode:
		return c.params.groupMode()
	case PairwiseMode:
		return c.params.pairwiseMode() && c.self != nil
	}
	return false
}

// Recipients returns how many Recipient Contexts there are.
func (c *Context) Recipients() int { return c.peers.len() }

// RemoveRecipient deletes the Recipient Context of a Sender ID, and reports
// whether there was one. From then on new Recipient Contexts of any peer start
// with an invalid Replay Window (Section 2.6.1.2). The credential is the
// CredentialSource's business.
func (c *Context) RemoveRecipient(id []byte) bool { return c.peers.delete(id) }

// PurgeStale deletes the Recipient Contexts of stale Sender IDs, before new
// keying material is installed (Section 12.2). Under this Gid nothing is taken
// from them any more, and no response goes to them.
func (c *Context) PurgeStale(ids [][]byte) {
	for _, id := range ids {
		c.peers.purge(id)
	}
}

// PurgeAll deletes every Recipient Context: after a missed rekey whose set of
// stale Sender IDs is not known exactly (Section 12.2).
func (c *Context) PurgeAll() { c.peers.clear() }

// WindowValid reports whether the Replay Window for a Sender ID is valid; of
// one never heard, whether it would be.
func (c *Context) WindowValid(id []byte) bool {
	if r := c.peers.get(id); r != nil {
		return r.valid()
	}
	return !c.peers.sticky()
}

// String names the context without key material.
func (c Context) String() string { return fmt.Sprintf("group context %x/%x", c.gid, c.SenderID()) }

// Format writes String, whatever the verb.
func (c Context) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }
