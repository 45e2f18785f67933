package oscore

import (
	"crypto/cipher"
	"fmt"

	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/plgd-dev/go-coap/v3/message"
)

// sealing is what differs between a request and a response on the way out.
type sealing struct {
	option             coapmsg.OSCOREOption
	id, piv            []byte // of the nonce
	requestKID, reqPIV []byte // of the AAD
}

// prepare splits m and lays out one buffer, so that protection allocates
// little:
//
//	nonce | AAD | OSCORE option | plaintext, later ciphertext and tag
//
// Only room for the first three is left here: they need the sequence number,
// which is taken after everything that may fail.
func (c *Context) prepare(buf message.Options, m message.Message) (outer message.Options, plaintext []byte, head []byte, err error) {
	room := c.nonceSize + aadSize + optionRoom + len(c.kidContext)
	b := make([]byte, room, room+coapmsg.PlaintextSize(m)+c.tagSize)
	outer, all, err := coapmsg.SplitInto(buf, b, m)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("protect: %w", err)
	}
	plaintext = all[room:]
	if uint64(len(plaintext)) > c.maxPlain {
		return nil, nil, nil, fmt.Errorf("%w: plaintext of %d bytes", ErrTooLong, len(plaintext))
	}
	return outer, plaintext, all[:0:room], nil
}

// optionRoom is the length of an OSCORE option without kid context: flags,
// Partial IV, length of the kid context, kid.
const optionRoom = 1 + coapmsg.MaxPIVSize + 1 + 7

// seal encrypts the plaintext that prepare made, in place, and completes m.
func (c *Context) seal(m message.Message, outer message.Options, plaintext, head []byte, s sealing) message.Message {
	nonce := AppendNonce(head, c.nonceSize, s.id, s.piv, *c.commonIV)
	aad := appendAAD(nonce[len(nonce):], c.alg, s.requestKID, s.reqPIV)
	option := s.option.Append(aad[len(aad):])
	m.Payload = c.sender.Seal(plaintext[:0], nonce, plaintext, aad)
	m.Options = coapmsg.Insert(outer, message.Option{ID: coapmsg.OSCORE, Value: option[:len(option):len(option)]})
	return m
}

// open decrypts the payload of m into a new buffer: nonce | AAD | plaintext.
// The plaintext returned aliases it.
func (c *Context) open(key cipher.AEAD, payload, id, piv, requestKID, requestPIV []byte) ([]byte, error) {
	b := make([]byte, 0, c.nonceSize+aadSize+len(payload))
	nonce := AppendNonce(b, c.nonceSize, id, piv, *c.commonIV)
	aad := appendAAD(nonce[len(nonce):], c.alg, requestKID, requestPIV)
	plaintext, err := key.Open(aad[len(aad):], nonce, payload, aad)
	if err != nil {
		return nil, ErrDecryption
	}
	return plaintext, nil
}

// parse checks the outside of a protected message and reads its OSCORE option
// (RFC 8613, Sections 2 and 6.1).
func parse(m message.Message) (coapmsg.OSCOREOption, error) {
	value, n := coapmsg.FindOSCORE(m.Options)
	switch {
	case n == 0:
		return coapmsg.OSCOREOption{}, ErrNotProtected
	case n > 1:
		return coapmsg.OSCOREOption{}, fmt.Errorf("%w: %d oscore options", ErrMalformed, n)
	case len(m.Payload) == 0:
		return coapmsg.OSCOREOption{}, fmt.Errorf("%w: no payload", ErrMalformed)
	}
	o, err := coapmsg.ParseOSCOREOption(value)
	if err != nil {
		return o, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if o.Group {
		return o, fmt.Errorf("%w: reserved flag bit", ErrMalformed)
	}
	return o, nil
}
