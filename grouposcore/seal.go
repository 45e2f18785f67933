package grouposcore

import (
	"crypto/cipher"
	"fmt"

	"github.com/plgd-dev/go-coap/v3/message"

	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/oscore"
)

// envelope is what the protection of one message depends on beside keys.
type envelope struct {
	mode    Mode
	request bool
	req     binding // values of the request, own ones for a request itself
	option  []byte  // raw OSCORE option value of this message
	genID   []byte  // Sender ID of whoever made the Partial IV in use
	piv     []byte  // the Partial IV in use
}

// additionalData builds external_aad and, for an AEAD, the Enc_structure
// around it in s (Section 3.4). With a plain cipher nothing is passed along
// (Section 10): the countersignature protects external_aad.
func (c *common) additionalData(s *scratch, e *envelope, from credential) (aad []byte) {
	s.aad = c.appendExternalAAD(s.aad[:0], e.req, e.option, from)
	if c.tag(e.mode) == 0 {
		return nil
	}
	s.enc = cose.AppendEncStructure(s.enc[:0], nil, s.aad)
	return s.enc
}

// nonce builds the nonce of Section 3.3 in s: that of RFC 8613, Section 5.2,
// for the nonce length of the mode's algorithm and the first bytes of the
// Common IV.
func (c *common) nonce(s *scratch, e *envelope) []byte {
	size := c.aeadNonce
	if e.mode == GroupMode {
		size = c.encNonce
	}
	s.nonce = oscore.AppendNonce(s.nonce[:0], size, e.genID, e.piv, c.commonIV)
	return s.nonce
}

// maxPlain is the longest plaintext of the mode's algorithm in bytes.
func (c *common) maxPlain(m Mode) uint64 {
	if m == GroupMode {
		return c.encMax
	}
	return c.aeadMax
}

// tag is the tag length of the mode's algorithm in bytes.
func (c *common) tag(m Mode) int {
	if m == GroupMode {
		return c.encTag
	}
	return c.aeadTag
}

// draft is a message on its way out: one buffer that holds, one behind the
// other, the OSCORE option and the plaintext, with room for tag and
// countersignature behind it.
type draft struct {
	outer  message.Options
	option []byte // empty, with room up to the plaintext
	plain  []byte
}

// prepare splits m, before anything is spent on it. opts is storage for the
// outer options.
func (c *Context) prepare(opts message.Options, m message.Message, mode Mode) (draft, error) {
	room := 1 + coapmsg.MaxPIVSize + 1 + len(c.gid) + len(c.self.id)
	behind := c.tag(mode)
	if mode == GroupMode {
		behind += c.self.sigLen
	}
	b := make([]byte, room, room+coapmsg.PlaintextSize(m)+behind)
	outer, all, err := coapmsg.SplitInto(opts, b, m)
	if err != nil {
		return draft{}, err
	}
	d := draft{outer: outer, option: all[:0:room], plain: all[room:]}
	if uint64(len(d.plain)) > c.maxPlain(mode) {
		return draft{}, fmt.Errorf("%w: plaintext of %d bytes", ErrTooLong, len(d.plain))
	}
	return d, nil
}

// seal encrypts the plaintext of d in place, in group mode countersigns it and
// appends the encrypted countersignature (Sections 3.1, 4.1 and 4.2), and
// completes m, whose Outer Code is set already. enc is the Sender Key's cipher
// in group mode, the Pairwise Sender Key's otherwise.
func (c *Context) seal(m message.Message, d draft, opt coapmsg.OSCOREOption, e *envelope, enc cipher.AEAD) (message.Message, error) {
	s := c.getScratch()
	defer c.putScratch(s)
	e.option = opt.Append(d.option)
	aad := c.additionalData(s, e, c.self.cred)
	m.Payload = enc.Seal(d.plain[:0], c.nonce(s, e), d.plain, aad)
	if e.mode == GroupMode {
		s.tbs = cose.AppendCountersignStructure(s.tbs[:0], c.params.Countersign, s.aad, m.Payload)
		sig, err := c.self.priv.Sign(c.params.Signature, s.tbs)
		if err != nil {
			return message.Message{}, fmt.Errorf("countersign: %w", err)
		}
		n := len(m.Payload)
		m.Payload = append(m.Payload, sig...)
		if err := c.xorKeystream(s, m.Payload[n:], e.piv, e.genID, e.request); err != nil {
			return message.Message{}, fmt.Errorf("keystream: %w", err)
		}
	}
	option := message.Option{ID: coapmsg.OSCORE, Value: e.option[:len(e.option):len(e.option)]}
	m.Options = coapmsg.Insert(d.outer, option)
	return m, nil
}

// open verifies and decrypts a payload, in group mode the countersignature
// first (Sections 7.2 and 7.4). Nothing is released before both succeeded, and
// every failure is ErrDecryption. enc is the Pairwise Recipient Key's cipher;
// that of the Recipient Key is made for each message: beside a verification it
// costs nothing, and kept it would be a quarter of a Recipient Context.
func (c *common) open(s *scratch, e *envelope, r *recipient, enc cipher.AEAD, payload []byte) ([]byte, error) {
	tag := c.tag(e.mode)
	sigLen := 0
	if e.mode == GroupMode {
		sigLen = r.sigLen
	}
	// At least the code byte is encrypted.
	if len(payload) < 1+tag+sigLen || uint64(len(payload)-tag-sigLen) > c.maxPlain(e.mode) {
		return nil, errLength
	}
	aad := c.additionalData(s, e, r.cred)
	ciphertext := payload[:len(payload)-sigLen]
	if e.mode == GroupMode {
		if err := c.verifySignature(s, e, r, payload); err != nil {
			return nil, err
		}
		var err error
		if enc, err = c.groupCipher(r.key); err != nil {
			return nil, errTag
		}
	}
	plain, err := enc.Open(make([]byte, 0, len(ciphertext)), c.nonce(s, e), ciphertext, aad)
	if err != nil {
		return nil, errTag
	}
	return plain, nil
}

// verifySignature decrypts the countersignature at the end of payload and
// verifies it over the ciphertext before it. s.aad holds external_aad.
func (c *common) verifySignature(s *scratch, e *envelope, r *recipient, payload []byte) error {
	ciphertext := payload[:len(payload)-r.sigLen]
	s.tbs = cose.AppendCountersignStructure(s.tbs[:0], c.params.Countersign, s.aad, ciphertext)
	n := len(s.tbs)
	s.tbs = append(s.tbs, payload[len(ciphertext):]...)
	if err := c.xorKeystream(s, s.tbs[n:], e.piv, e.genID, e.request); err != nil {
		return errSignature
	}
	if err := r.cred.PublicKey().Verify(c.params.Signature, s.tbs[:n], s.tbs[n:]); err != nil {
		return errSignature
	}
	return nil
}
