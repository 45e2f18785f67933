package keystore

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
)

// storeID is the random identity of a store, given at its creation and kept by its backups.
type storeID [16]byte

const (
	headerMagic  = "cohort-keystore\n"
	headerFormat = 1
	checkSize    = 16
	headerSize   = len(headerMagic) + 1 + 16 + checkSize + 8
)

// header is the one record that is not sealed: magic (16 bytes) | format (1) | identity (16) | key check (16) | SHA-256
// of all that, first 8 bytes. It never changes while the store lives.
type header struct {
	id    storeID
	check [checkSize]byte // of the data key
}

func (h header) marshal() []byte {
	b := make([]byte, 0, headerSize)
	b = append(b, headerMagic...)
	b = append(b, headerFormat)
	b = append(b, h.id[:]...)
	b = append(b, h.check[:]...)
	sum := sha256.Sum256(b)
	return append(b, sum[:8]...)
}

func parseHeader(b []byte) (h header, err error) {
	if len(b) < len(headerMagic)+1 || string(b[:len(headerMagic)]) != headerMagic {
		return h, fmt.Errorf("%w: not a store of this program", ErrCorrupt)
	}
	if f := b[len(headerMagic)]; f > headerFormat {
		return h, fmt.Errorf("%w: file format %d, this one knows %d; use the newer program", ErrNewerSchema, f, headerFormat)
	}
	if len(b) != headerSize {
		return h, fmt.Errorf("%w: header has %d bytes", ErrCorrupt, len(b))
	}
	body, sum := b[:headerSize-8], sha256.Sum256(b[:headerSize-8])
	if subtle.ConstantTimeCompare(b[headerSize-8:], sum[:8]) != 1 || body[len(headerMagic)] != headerFormat {
		return h, fmt.Errorf("%w: header checksum", ErrCorrupt)
	}
	body = body[len(headerMagic)+1:]
	copy(h.id[:], body)
	copy(h.check[:], body[len(h.id):])
	return h, nil
}
