// Package ccm is the CCM mode of a 128-bit block cipher (RFC 3610; NIST SP
// 800-38C) as a [cipher.AEAD].
//
// The standard library has no CCM. COSE uses four shapes of it with AES (RFC
// 9053, Section 4.2): nonces of 13 and of 7 bytes, tags of 8 and of 16. With a
// dst that has room, Seal and Open do not allocate.
//
// The message length is bounded by the nonce: a nonce of n bytes leaves 15-n
// bytes for the length, so that AES-CCM-16-* takes at most 65535 bytes.
package ccm

import (
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"unsafe"
)

const blockSize = 16

var (
	// ErrParameters says that [New] was given a size that CCM does not have.
	ErrParameters = errors.New("ccm: parameters")
	// ErrOpen says that a ciphertext is not authentic.
	ErrOpen = errors.New("ccm: message authentication failed")
)

type aead struct {
	block     cipher.Block
	tagSize   int
	nonceSize int
	scratch   sync.Pool // of *state
}

// state is the working memory of one call. It lives on the heap, because what
// is passed to a cipher.Block escapes, and is pooled for that reason.
type state struct {
	mac       [blockSize]byte
	counter   [blockSize]byte
	keystream [blockSize]byte
	mask      [blockSize]byte // keystream block 0, which covers the tag
}

// New returns CCM over block, which must have 16-byte blocks, with a tag of 4,
// 6, … 16 bytes and a nonce of 7 to 13 bytes. It is safe for concurrent use if
// block is.
func New(block cipher.Block, tagSize, nonceSize int) (cipher.AEAD, error) {
	switch {
	case block.BlockSize() != blockSize:
		return nil, fmt.Errorf("%w: block of %d bytes", ErrParameters, block.BlockSize())
	case tagSize < 4 || tagSize > 16 || tagSize%2 != 0:
		return nil, fmt.Errorf("%w: tag of %d bytes", ErrParameters, tagSize)
	case nonceSize < 7 || nonceSize > 13:
		return nil, fmt.Errorf("%w: nonce of %d bytes", ErrParameters, nonceSize)
	}
	a := &aead{block: block, tagSize: tagSize, nonceSize: nonceSize}
	a.scratch.New = func() any { return new(state) }
	return a, nil
}

func (a *aead) NonceSize() int { return a.nonceSize }
func (a *aead) Overhead() int  { return a.tagSize }

// tooLong reports whether a plaintext length does not fit into the length field.
func (a *aead) tooLong(n int) bool {
	bits := 8 * (blockSize - 1 - a.nonceSize)
	return bits < 64 && uint64(n)>>bits != 0
}

// Seal appends ciphertext and tag to dst. It panics if the nonce has the wrong
// size, the plaintext is longer than CCM can say, or the buffers overlap other
// than exactly, as the standard library's AEADs do.
func (a *aead) Seal(dst, nonce, plaintext, additionalData []byte) []byte {
	if len(nonce) != a.nonceSize {
		panic("ccm: incorrect nonce length given to Seal")
	}
	if a.tooLong(len(plaintext)) {
		panic("ccm: plaintext too long")
	}
	ret, out := sliceForAppend(dst, len(plaintext)+a.tagSize)
	if overlapInexact(out, plaintext) {
		panic("ccm: invalid buffer overlap")
	}
	s := a.get()
	a.start(s, nonce, len(plaintext), additionalData)
	a.seal(s, out, plaintext)
	subtle.XORBytes(out[len(plaintext):], s.mac[:a.tagSize], s.mask[:a.tagSize])
	a.put(s)
	return ret
}

// Open appends the plaintext to dst, or returns ErrOpen and leaves no plaintext.
func (a *aead) Open(dst, nonce, ciphertext, additionalData []byte) ([]byte, error) {
	if len(nonce) != a.nonceSize {
		panic("ccm: incorrect nonce length given to Open")
	}
	n := len(ciphertext) - a.tagSize
	if n < 0 || a.tooLong(n) {
		return nil, ErrOpen
	}
	ret, out := sliceForAppend(dst, n)
	if overlapInexact(out, ciphertext[:n]) {
		panic("ccm: invalid buffer overlap")
	}
	s := a.get()
	a.start(s, nonce, n, additionalData)
	// The mask is applied to the received tag, so that the comparison is with the
	// plain MAC. It is done first: out may lie where the ciphertext is.
	var tag [blockSize]byte
	subtle.XORBytes(tag[:], ciphertext[n:], s.mask[:a.tagSize])
	a.open(s, out, ciphertext[:n])
	ok := subtle.ConstantTimeCompare(tag[:a.tagSize], s.mac[:a.tagSize]) == 1
	a.put(s)
	if !ok {
		clear(out)
		return nil, ErrOpen
	}
	return ret, nil
}

func (a *aead) get() *state { return a.scratch.Get().(*state) }

func (a *aead) put(s *state) {
	*s = state{}
	a.scratch.Put(s)
}

// start begins the CBC-MAC with B_0 and the additional data (RFC 3610, Section 2.2),
// sets the counter block to A_0 and computes the mask of the tag (Section 2.3).
func (a *aead) start(s *state, nonce []byte, length int, additionalData []byte) {
	lengthSize := blockSize - 1 - a.nonceSize
	flags := byte((a.tagSize-2)/2<<3 | (lengthSize - 1))
	if len(additionalData) > 0 {
		flags |= 0x40
	}
	binary.BigEndian.PutUint64(s.mac[8:], uint64(length))
	copy(s.mac[1:], nonce)
	s.mac[0] = flags
	s.counter[0] = byte(lengthSize - 1)
	copy(s.counter[1:], nonce)
	a.block.Encrypt(s.mac[:], s.mac[:])
	a.block.Encrypt(s.mask[:], s.counter[:])
	if len(additionalData) > 0 {
		a.authenticateData(s, additionalData)
	}
}

// authenticateData absorbs the additional data with its length in front.
func (a *aead) authenticateData(s *state, data []byte) {
	var length [10]byte
	var n int
	switch l := uint64(len(data)); {
	case l < 0xff00:
		binary.BigEndian.PutUint16(length[:], uint16(l))
		n = 2
	case l < 1<<32:
		length[0], length[1] = 0xff, 0xfe
		binary.BigEndian.PutUint32(length[2:], uint32(l))
		n = 6
	default:
		length[0], length[1] = 0xff, 0xff
		binary.BigEndian.PutUint64(length[2:], l)
		n = 10
	}
	subtle.XORBytes(s.mac[:n], s.mac[:n], length[:n])
	k := subtle.XORBytes(s.mac[n:], s.mac[n:], data)
	a.block.Encrypt(s.mac[:], s.mac[:])
	a.absorb(s, data[k:])
}

// absorb feeds data, padded with zeros to whole blocks, to the CBC-MAC.
func (a *aead) absorb(s *state, data []byte) {
	for ; len(data) >= blockSize; data = data[blockSize:] {
		xorBlock(s.mac[:], s.mac[:], data)
		a.block.Encrypt(s.mac[:], s.mac[:])
	}
	if len(data) > 0 {
		subtle.XORBytes(s.mac[:], s.mac[:], data)
		a.block.Encrypt(s.mac[:], s.mac[:])
	}
}

// seal absorbs src into the CBC-MAC and writes src XOR keystream to dst, from counter
// block A_1 on. The two ciphers of a block do not depend on each other, so that the
// processor works on both at once. The length checks made before keep the counter
// from running into the nonce.
func (a *aead) seal(s *state, dst, src []byte) {
	counter := binary.BigEndian.Uint64(s.counter[8:])
	for ; len(src) >= blockSize; dst, src = dst[blockSize:], src[blockSize:] {
		counter++
		binary.BigEndian.PutUint64(s.counter[8:], counter)
		a.block.Encrypt(s.keystream[:], s.counter[:])
		xorBlock(s.mac[:], s.mac[:], src)
		a.block.Encrypt(s.mac[:], s.mac[:])
		xorBlock(dst, src, s.keystream[:])
	}
	if len(src) > 0 {
		binary.BigEndian.PutUint64(s.counter[8:], counter+1)
		a.block.Encrypt(s.keystream[:], s.counter[:])
		a.absorb(s, src)
		subtle.XORBytes(dst, src, s.keystream[:])
	}
}

// open is the reverse of seal: what it absorbs is the plaintext, which it writes.
func (a *aead) open(s *state, dst, src []byte) {
	counter := binary.BigEndian.Uint64(s.counter[8:])
	for ; len(src) >= blockSize; dst, src = dst[blockSize:], src[blockSize:] {
		counter++
		binary.BigEndian.PutUint64(s.counter[8:], counter)
		a.block.Encrypt(s.keystream[:], s.counter[:])
		xorBlock(dst, src, s.keystream[:])
		xorBlock(s.mac[:], s.mac[:], dst)
		a.block.Encrypt(s.mac[:], s.mac[:])
	}
	if n := len(src); n > 0 {
		binary.BigEndian.PutUint64(s.counter[8:], counter+1)
		a.block.Encrypt(s.keystream[:], s.counter[:])
		subtle.XORBytes(dst, src, s.keystream[:])
		a.absorb(s, dst[:n])
	}
}

// xorBlock writes the XOR of the first 16 bytes of x and y to dst.
func xorBlock(dst, x, y []byte) {
	lo := binary.LittleEndian.Uint64(x) ^ binary.LittleEndian.Uint64(y)
	hi := binary.LittleEndian.Uint64(x[8:]) ^ binary.LittleEndian.Uint64(y[8:])
	binary.LittleEndian.PutUint64(dst, lo)
	binary.LittleEndian.PutUint64(dst[8:], hi)
}

// sliceForAppend extends in by n bytes; tail is the extension.
func sliceForAppend(in []byte, n int) (head, tail []byte) {
	total := len(in) + n
	if cap(in) >= total {
		head = in[:total]
	} else {
		head = make([]byte, total)
		copy(head, in)
	}
	return head, head[len(in):]
}

// overlapInexact reports whether x and y share memory at different offsets.
func overlapInexact(x, y []byte) bool {
	if len(x) == 0 || len(y) == 0 || &x[0] == &y[0] {
		return false
	}
	return uintptr(unsafe.Pointer(&x[0])) <= uintptr(unsafe.Pointer(&y[len(y)-1])) &&
		uintptr(unsafe.Pointer(&y[0])) <= uintptr(unsafe.Pointer(&x[len(x)-1]))
}
