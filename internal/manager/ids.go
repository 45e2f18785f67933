package manager

import (
	"encoding/base32"
	"encoding/binary"
	"strings"
)

// Identifiers that this package gives out are made from counters that only grow
// and live in the same transaction as what they name; nothing is drawn at random
// and nothing is given out twice, whatever crashes.

// minGidSize is the least size of a Gid's counter part: two bytes, so that the
// Gids of a young Group Manager and of an old one look alike.
const minGidSize = 2

// gidBytes makes the Gid of a counter value: the manager's prefix, then the
// value in big endian without leading zero bytes, at least minGidSize bytes.
// Distinct values give distinct Gids: those longer than the minimum do not
// start with a zero byte.
func gidBytes(prefix []byte, n uint64) []byte {
	return append(append([]byte(nil), prefix...), uintBytes(n, minGidSize)...)
}

// senderIDBytes makes a Sender ID: the value in big endian, without leading
// zero bytes, at least one byte.
func senderIDBytes(n uint64) []byte { return uintBytes(n, 1) }

// senderIDNumber is the inverse of senderIDBytes; ok is false for a byte string
// that senderIDBytes never makes.
func senderIDNumber(id []byte) (n uint64, ok bool) {
	if len(id) == 0 || len(id) > 7 || (len(id) > 1 && id[0] == 0) {
		return 0, false
	}
	for _, b := range id {
		n = n<<8 | uint64(b)
	}
	return n, true
}

// gidNumber is the inverse of gidBytes.
func gidNumber(prefix, gid []byte) (n uint64, ok bool) {
	if len(gid) < len(prefix)+minGidSize || string(gid[:len(prefix)]) != string(prefix) {
		return 0, false
	}
	b := gid[len(prefix):]
	if len(b) > 8 || (len(b) > minGidSize && b[0] == 0) {
		return 0, false
	}
	for _, x := range b {
		n = n<<8 | uint64(x)
	}
	return n, true
}

func uintBytes(n uint64, least int) []byte {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], n)
	i := 0
	for i < 8-least && b[i] == 0 {
		i++
	}
	return append([]byte(nil), b[i:]...)
}

var nodeEncoding = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// nodeName makes a member's node name from its number in the group: "n" and the
// number in lower-case base 32, one path segment of unreserved characters. A
// number is given out once in the life of a group, so a node name never comes
// back (RFC 9594, Section 4.3.1 wants it unique in the group).
func nodeName(n uint64) string { return "n" + nodeEncoding.EncodeToString(uintBytes(n, 1)) }

// nodeNumber is the inverse of nodeName.
func nodeNumber(name string) (n uint64, ok bool) {
	s, found := strings.CutPrefix(name, "n")
	if !found || len(s) > 13 {
		return 0, false
	}
	b, err := nodeEncoding.DecodeString(s)
	if err != nil || len(b) == 0 || len(b) > 8 {
		return 0, false
	}
	for _, x := range b {
		n = n<<8 | uint64(x)
	}
	return n, nodeName(n) == name
}
