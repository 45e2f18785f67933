package wire

import (
	"encoding/binary"

	"github.com/cohort-iot/cohort/internal/cborx"
)

// Major types of CBOR (RFC 8949, Section 3.1).
const (
	majorBytes = 2
	majorText  = 3
	majorArray = 4
	majorMap   = 5
)

// count splits the head off an encoded array or map: how many elements or pairs it has, and its content.
// item has been found well-formed, so that its head is complete and its length definite.
func count(item []byte, major byte) (n uint64, content []byte, err error) {
	if len(item) == 0 || item[0]>>5 != major {
		return 0, nil, malformed("not an array or map as expected")
	}
	info, rest := item[0]&0x1f, item[1:]
	if info < 24 {
		return uint64(info), rest, nil
	}
	size := 1 << (info - 24)
	var wide [8]byte
	copy(wide[8-size:], rest[:size])
	return binary.BigEndian.Uint64(wide[:]), rest[size:], nil
}

// kind says whether item starts with the major type.
func kind(item []byte, major byte) bool { return len(item) > 0 && item[0]>>5 == major }

// wellformed checks one whole item.
func wellformed(item []byte) error {
	if err := cborx.Wellformed(item); err != nil {
		return wrap(err)
	}
	return nil
}
