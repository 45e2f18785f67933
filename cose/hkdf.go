package cose

import (
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
)

// HKDF runs Extract and Expand (RFC 5869, Section 2) with the hash of an HMAC
// algorithm and returns length bytes. An absent salt is the same as an empty one.
//
// Errors: ErrAlgorithm if hmac is not HMAC 256/256, 384/384 or 512/512; ErrTooLong
// if length exceeds 255 times the hash's size.
func HKDF(hmac Algorithm, salt, ikm, info []byte, length int) ([]byte, error) {
	return AppendHKDF(make([]byte, 0, max(length, 0)), hmac, salt, ikm, info, length)
}

// AppendHKDF is HKDF with its result appended to dst. It allocates nothing beyond
// dst while salt, ikm and info are short: the keystream of a group message's
// signature is made with it (draft-ietf-core-oscore-groupcomm-28, Section 4.2).
func AppendHKDF(dst []byte, hmac Algorithm, salt, ikm, info []byte, length int) ([]byte, error) {
	size := hmac.hashSize()
	if size == 0 {
		return nil, fmt.Errorf("%w: %v for HKDF", ErrAlgorithm, hmac)
	}
	if length < 0 || length > 255*size {
		return nil, fmt.Errorf("%w: %d bytes from HKDF with %v", ErrTooLong, length, hmac)
	}
	var prk, t [sha512.Size]byte
	hmacSum(&prk, hmac, salt, ikm, nil, nil)
	n := 0 // length of T(i-1): T(0) is empty
	for i := byte(1); length > 0; i++ {
		hmacSum(&t, hmac, prk[:size], t[:n], info, []byte{i})
		n = size
		k := min(length, size)
		dst = append(dst, t[:k]...)
		length -= k
	}
	clear(prk[:])
	clear(t[:])
	return dst, nil
}

// hmacShort is the total length of message parts up to which hmacSum works on the
// stack. The derivations of OSCORE and Group OSCORE stay below it, but for the
// pairwise keys, whose input keying material holds two credentials.
const hmacShort = 256

// hmacSum writes HMAC(key, a || b || c) to out (RFC 2104). out may alias a.
func hmacSum(out *[sha512.Size]byte, alg Algorithm, key, a, b, c []byte) {
	var pad [sha512.BlockSize + max(hmacShort, sha512.Size)]byte
	var sum [sha512.Size]byte
	blockSize := sha512.BlockSize
	if alg == AlgHMAC256 {
		blockSize = sha256.BlockSize
	}
	if len(key) > blockSize {
		key = sum[:digest(&sum, alg, key)]
	}
	block := pad[:blockSize]
	copy(block, key)
	for i := range block {
		block[i] ^= 0x36
	}
	msg := block
	if total := len(a) + len(b) + len(c); total > hmacShort {
		msg = append(make([]byte, 0, blockSize+total), block...)
	}
	msg = append(append(append(msg, a...), b...), c...)
	n := digest(&sum, alg, msg)
	clear(msg[blockSize:])
	for i := range block {
		block[i] ^= 0x36 ^ 0x5c
	}
	digest(out, alg, append(block, sum[:n]...))
	clear(pad[:])
	clear(sum[:])
}

// digest writes the hash of b to out and returns its size. The calls are direct,
// so that b does not escape to the heap.
func digest(out *[sha512.Size]byte, alg Algorithm, b []byte) int {
	switch alg {
	case AlgHMAC256:
		s := sha256.Sum256(b)
		return copy(out[:], s[:])
	case AlgHMAC384:
		s := sha512.Sum384(b)
		return copy(out[:], s[:])
	default:
		s := sha512.Sum512(b)
		return copy(out[:], s[:])
	}
}
