package oscore

import (
	"bytes"
	"crypto/cipher"
	"fmt"
	"sync"

	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/internal/replay"
	"github.com/cohort-iot/cohort/internal/secret"
)

// Context is a Security Context (RFC 8613, Section 3): Common, Sender and
// Recipient Context of one endpoint. The same context serves an endpoint as
// client and as server, and is safe for concurrent use. Only its sequence and
// its replay window change after NewContext.
type Context struct {
	alg       cose.Algorithm
	nonceSize int
	tagSize   int
	maxPlain  uint64 // bytes

	senderID    []byte
	recipientID []byte
	idContext   []byte // for derivation; nil if absent
	kidContext  []byte // what travels as kid context; nil if absent
	quartet     [QuartetSize]byte

	commonIV  *secret.Bytes // behind a pointer: see Format
	sender    cipher.AEAD
	recipient cipher.AEAD
	sequence  *Sequence

	mu     sync.Mutex
	window *replay.Window
}

// NewContext derives a context. seq must be this context's own: see Sequence
// for what has to survive a restart. The replay window is valid and empty;
// whoever restores a context calls Invalidate or RestoreWindow.
func NewContext(p Params, seq *Sequence) (*Context, error) {
	return newContext(p, seq, p.IDContext)
}

func newContext(p Params, seq *Sequence, kidContext []byte) (*Context, error) {
	p = p.withDefaults()
	if err := p.Validate(); err != nil {
		return nil, err
	}
	if seq == nil {
		return nil, fmt.Errorf("%w: no sequence", ErrParams)
	}
	aead, _ := p.AEAD.AEAD()
	c := &Context{
		alg:         p.AEAD,
		nonceSize:   aead.NonceSize,
		tagSize:     aead.TagSize,
		maxPlain:    p.AEAD.MaxPlaintext(),
		senderID:    bytes.Clone(p.SenderID),
		recipientID: bytes.Clone(p.RecipientID),
		idContext:   bytes.Clone(p.IDContext),
		kidContext:  bytes.Clone(kidContext),
		sequence:    seq,
		window:      replay.New(p.ReplayWindow),
	}
	if err := c.setQuartet(p); err != nil {
		return nil, err
	}
	iv, err := c.derive(p, nil, TypeIV, aead.NonceSize)
	if err != nil {
		return nil, err
	}
	c.commonIV = &iv
	if c.sender, err = c.cipher(p, p.SenderID, aead.KeySize); err != nil {
		return nil, err
	}
	c.recipient, err = c.cipher(p, p.RecipientID, aead.KeySize)
	return c, err
}

func (c *Context) derive(p Params, id []byte, typ string, length int) (secret.Bytes, error) {
	b, err := DeriveKey(p.HKDF, p.MasterSecret, p.MasterSalt, id, c.idContext, c.alg, typ, length)
	if err != nil {
		return nil, fmt.Errorf("derive %s: %w", typ, err)
	}
	return b, nil
}

func (c *Context) cipher(p Params, id []byte, keySize int) (cipher.AEAD, error) {
	key, err := c.derive(p, id, TypeKey, keySize)
	if err != nil {
		return nil, err
	}
	defer key.Wipe()
	aead, err := cose.NewCipher(c.alg, key)
	if err != nil {
		return nil, fmt.Errorf("cipher: %w", err)
	}
	return aead, nil
}

// SenderID is the identifier this endpoint sends as kid. Do not modify it.
func (c *Context) SenderID() []byte { return c.senderID }

// RecipientID is the kid of the peer. Do not modify it.
func (c *Context) RecipientID() []byte { return c.recipientID }

// IDContext is the ID Context the keys are derived with; nil if absent. Do not
// modify it.
func (c *Context) IDContext() []byte { return c.idContext }

// KIDContext is what this context's requests carry as kid context: the ID
// Context or, in a context of Appendix B.2, its CBOR encoding; nil if absent.
// Look-ups by kid context go by this value. Do not modify it.
func (c *Context) KIDContext() []byte { return c.kidContext }

// Matches reports whether a request with this OSCORE option is for this
// context: its kid is the Recipient ID, and a kid context, if it carries one,
// is this context's (RFC 8613, Section 5). Several contexts may match a
// request without kid context; each is tried until one verifies (Section 3.3).
func (c *Context) Matches(o coapmsg.OSCOREOption) bool {
	if o.KID == nil || !bytes.Equal(o.KID, c.recipientID) {
		return false
	}
	return o.KIDContext == nil || c.kidContext != nil && bytes.Equal(o.KIDContext, c.kidContext)
}

// Algorithm is the AEAD algorithm.
func (c *Context) Algorithm() cose.Algorithm { return c.alg }

// Sequence gives the Sender Sequence Numbers of this context.
func (c *Context) Sequence() *Sequence { return c.sequence }

// String names the context without its keys.
func (c *Context) String() string {
	return fmt.Sprintf("oscore context (sender id %x, recipient id %x, id context %x)", c.senderID, c.recipientID, c.idContext)
}

// Format prints the context as String does, whatever the verb. Where fmt prints
// the fields of a struct that holds a context it does not ask this method, but
// nor does it follow the pointers and interfaces that lead to the keys.
func (c *Context) Format(f fmt.State, _ rune) { fmt.Fprint(f, c.String()) }
