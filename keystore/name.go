package keystore

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

// Name names a record: the kind, a zero byte, then each number as eight bytes big endian, so that names of one kind are ordered by
// their numbers. Names are not sealed. Compare them with ==.
type Name string

// Key makes the name of a record from its kind (1 to 32 of a-z, 0-9, '-', beginning with a letter) and up to 6 numbers. It panics
// when kind or the count of ids break that, since both are written in the program.
func Key(kind string, ids ...uint64) Name {
	if !validKind(kind) || len(ids) > maxIDs {
		panic("keystore: invalid record kind " + strconv.Quote(kind))
	}
	return makeName(kind, ids)
}

func makeName(kind string, ids []uint64) Name {
	b := make([]byte, 0, len(kind)+1+8*len(ids))
	b = append(b, kind...)
	b = append(b, 0)
	for _, id := range ids {
		b = binary.BigEndian.AppendUint64(b, id)
	}
	return Name(b)
}

// internalKey makes a name of the store's own: its kind begins with '_', which Key refuses.
func internalKey(kind string, ids ...uint64) Name { return makeName("_"+kind, ids) }

func validKind(kind string) bool {
	if kind == "" || len(kind) > maxKind || kind[0] < 'a' || kind[0] > 'z' {
		return false
	}
	for _, c := range []byte(kind) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// split returns the kind and the bytes of the numbers.
func (n Name) split() (kind, ids string, ok bool) {
	kind, ids, ok = strings.Cut(string(n), "\x00")
	return kind, ids, ok && len(ids)%8 == 0 && len(ids) <= 8*maxIDs
}

// Kind returns the kind of the record, empty for an invalid name.
func (n Name) Kind() string {
	kind, _, ok := n.split()
	if !ok {
		return ""
	}
	return kind
}

// IDs returns the numbers of the name.
func (n Name) IDs() []uint64 {
	_, s, ok := n.split()
	if !ok {
		return nil
	}
	ids := make([]uint64, 0, len(s)/8)
	for ; len(s) > 0; s = s[8:] {
		ids = append(ids, binary.BigEndian.Uint64([]byte(s[:8])))
	}
	return ids
}

// ID returns the i-th number of the name, zero if there are fewer.
func (n Name) ID(i int) uint64 {
	_, s, ok := n.split()
	if !ok || i < 0 || len(s) < 8*(i+1) {
		return 0
	}
	return binary.BigEndian.Uint64([]byte(s[8*i : 8*i+8]))
}

// String returns the name for people: kind/number/number.
func (n Name) String() string {
	kind, _, ok := n.split()
	if !ok {
		return strconv.Quote(string(n))
	}
	var b strings.Builder
	b.WriteString(kind)
	for _, id := range n.IDs() {
		b.WriteByte('/')
		b.WriteString(strconv.FormatUint(id, 10))
	}
	return b.String()
}

// check refuses names that Key does not make.
func (n Name) check() error {
	if kind, _, ok := n.split(); !ok || !validKind(kind) {
		return fmt.Errorf("%w: %q", ErrName, string(n))
	}
	return nil
}

// internal tells whether the record belongs to the store itself.
func (n Name) internal() bool { return strings.HasPrefix(string(n), "_") }
