package cose

import (
	"crypto/aes"
	"crypto/cipher"
)

// maxCTR is the longest plaintext of AES-CTR with a 12-byte nonce, in bytes: the
// block counter has 32 bits (RFC 9459, Section 4.2).
const maxCTR = 1 << 36

// ctr gives AES-CTR the shape of an AEAD without tag and additional data.
type ctr struct{ block cipher.Block }

func newCTR(block cipher.Block) cipher.AEAD { return ctr{block} }

func (ctr) NonceSize() int { return ctrNonceSize }
func (ctr) Overhead() int  { return 0 }

func (c ctr) Seal(dst, nonce, plaintext, additionalData []byte) []byte {
	if uint64(len(plaintext)) > maxCTR {
		panic("cose: plaintext too long for AES-CTR")
	}
	return c.apply(dst, nonce, plaintext, additionalData)
}

func (c ctr) Open(dst, nonce, ciphertext, additionalData []byte) ([]byte, error) {
	if uint64(len(ciphertext)) > maxCTR {
		return nil, ErrDecrypt
	}
	return c.apply(dst, nonce, ciphertext, additionalData), nil
}

func (c ctr) apply(dst, nonce, src, additionalData []byte) []byte {
	if len(nonce) != ctrNonceSize {
		panic("cose: incorrect nonce length given to AES-CTR")
	}
	if len(additionalData) > 0 {
		panic("cose: AES-CTR cannot protect additional data")
	}
	var iv [aes.BlockSize]byte
	copy(iv[:], nonce)
	n := len(dst)
	if cap(dst)-n >= len(src) {
		dst = dst[:n+len(src)]
	} else {
		dst = append(make([]byte, 0, n+len(src)), dst...)[:n+len(src)]
	}
	cipher.NewCTR(c.block, iv[:]).XORKeyStream(dst[n:], src)
	return dst
}
