package cose

import (
	"crypto/aes"
	"crypto/cipher"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/cohort-iot/cohort/internal/ccm"
)

// NewCipher returns the cipher of a content encryption algorithm for one key. It is
// safe for concurrent use and holds the expanded key: keep it as long as the key.
//
// For A*CTR, which does not authenticate, it has Overhead 0; its Open never fails
// on account of the content, and it panics if given additional data: the caller
// protects both by a signature (draft-ietf-core-oscore-groupcomm-28, Section 2.1.7).
//
// Errors: ErrAlgorithm, ErrKeySize.
func NewCipher(a Algorithm, key []byte) (cipher.AEAD, error) {
	kind, p := a.content()
	if kind == kindNone {
		return nil, fmt.Errorf("%w: %v for content encryption", ErrAlgorithm, a)
	}
	if len(key) != p.KeySize {
		return nil, fmt.Errorf("%w: %d bytes for %v, which takes %d", ErrKeySize, len(key), a, p.KeySize)
	}
	if kind == kindChaCha {
		return chacha20poly1305.New(key)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("cose: %w", err)
	}
	switch kind {
	case kindCCM:
		return ccm.New(block, p.TagSize, p.NonceSize)
	case kindGCM:
		return cipher.NewGCM(block)
	}
	return newCTR(block), nil
}
