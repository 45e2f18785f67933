package cose

import (
	"bytes"
	"crypto/cipher"
	"fmt"

	"github.com/cohort-iot/cohort/internal/cborx"
)

// Encrypt0 is a parsed COSE_Encrypt0 (RFC 9052, Section 5.2).
type Encrypt0 struct {
	Alg              Algorithm // from the protected headers
	KID              []byte    // nil if absent; a hint until the message is opened
	IV               []byte    // nil if absent
	Protected        []byte    // serialised protected headers, as they came
	Ciphertext       []byte    // with the tag
	UnprotectedEmpty bool      // everything is in the protected headers
}

// SealEncrypt0 encrypts plaintext into an untagged COSE_Encrypt0 with all headers
// protected and the unprotected map empty, the shape of tokens that RFC 9770,
// Section 3 asks for:
//
//	[<< {1: alg, 4: kid, 5: IV} >>, {}, ciphertext]
//
// A nil kid is left out. iv is the whole nonce and must never repeat with the key.
//
// Errors: ErrAlgorithm, ErrKeySize, ErrMessage if the nonce has the wrong size,
// ErrTooLong.
func SealEncrypt0(alg Algorithm, key, kid, iv, externalAAD, plaintext []byte) ([]byte, error) {
	aead, err := newAEAD(alg, key)
	if err != nil {
		return nil, err
	}
	if len(iv) != aead.NonceSize() {
		return nil, fmt.Errorf("%w: IV of %d bytes for %v", ErrMessage, len(iv), alg)
	}
	if err := alg.checkLength(len(plaintext)); err != nil {
		return nil, err
	}
	n := 2
	if kid != nil {
		n++
	}
	protected := cborx.AppendMap(nil, n)
	protected = cborx.AppendInt(cborx.AppendInt(protected, headerLabelAlg), int64(alg))
	if kid != nil {
		protected = cborx.AppendBytes(cborx.AppendInt(protected, headerLabelKid), kid)
	}
	protected = cborx.AppendBytes(cborx.AppendInt(protected, headerLabelIV), iv)

	ciphertext := aead.Seal(nil, iv, plaintext, AppendEncStructure(nil, protected, externalAAD))
	msg := cborx.AppendArray(nil, 3)
	msg = cborx.AppendBytes(msg, protected)
	msg = cborx.AppendMap(msg, 0)
	return cborx.AppendBytes(msg, ciphertext), nil
}

func newAEAD(alg Algorithm, key []byte) (cipher.AEAD, error) {
	if !alg.IsAEAD() {
		return nil, fmt.Errorf("%w: %v for COSE_Encrypt0", ErrAlgorithm, alg)
	}
	return NewCipher(alg, key)
}

// ParseEncrypt0 parses an untagged COSE_Encrypt0. alg must be protected; kid and IV
// may be in either bucket, as peers without RFC 9770 send them. Header parameters
// other than these three are refused, because RFC 8392, Section 7.2 wants every one
// understood.
//
// Errors: ErrMessage.
func ParseEncrypt0(b []byte) (*Encrypt0, error) {
	e, err := parseEncrypt0(bytes.Clone(b))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMessage, err)
	}
	return e, nil
}

func parseEncrypt0(b []byte) (*Encrypt0, error) {
	parts, err := parseArray(b)
	if err != nil {
		return nil, err
	}
	if len(parts) != 3 {
		return nil, fmt.Errorf("%w: COSE_Encrypt0 has %d elements", cborx.ErrMalformed, len(parts))
	}
	e := new(Encrypt0)
	if e.Protected, err = cborx.Bytes(parts[0]); err != nil {
		return nil, fmt.Errorf("protected: %w", err)
	}
	if e.Ciphertext, err = cborx.Bytes(parts[2]); err != nil {
		return nil, fmt.Errorf("ciphertext: %w", err)
	}
	h, err := parseHeaders(e.Protected, parts[1])
	if err != nil {
		return nil, err
	}
	if err := h.only(headerLabelAlg, headerLabelKid, headerLabelIV); err != nil {
		return nil, err
	}
	e.UnprotectedEmpty = len(h.unprotected) == 0
	if e.Alg, err = h.alg(); err != nil {
		return nil, err
	}
	if e.KID, err = h.bytes(headerLabelKid); err != nil {
		return nil, err
	}
	if e.IV, err = h.bytes(headerLabelIV); err != nil {
		return nil, err
	}
	return e, nil
}

// Open decrypts the message.
//
// Errors: ErrAlgorithm, ErrKeySize, ErrMessage if the IV is absent or has the wrong
// size, ErrDecrypt if the message is not authentic.
func (e *Encrypt0) Open(key, externalAAD []byte) ([]byte, error) {
	aead, err := newAEAD(e.Alg, key)
	if err != nil {
		return nil, err
	}
	if len(e.IV) != aead.NonceSize() {
		return nil, fmt.Errorf("%w: IV of %d bytes for %v", ErrMessage, len(e.IV), e.Alg)
	}
	plaintext, err := aead.Open(nil, e.IV, e.Ciphertext, AppendEncStructure(nil, e.Protected, externalAAD))
	if err != nil {
		return nil, ErrDecrypt
	}
	return plaintext, nil
}
