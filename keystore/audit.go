package keystore

import (
	"encoding/binary"
	"fmt"
)

const auditKind = "audit"

func auditName(seq uint64) Name { return internalKey(auditKind, seq) }

// chain gives the authentication code of one audit record: HMAC-SHA-256 under a key that only the audit log uses, over
// the code of the record before it, its number and its bytes. The first record follows 32 zero bytes.
func (s *Store) chain(before [32]byte, seq uint64, record []byte) (out [32]byte) {
	copy(out[:], mac(s.keys.audit, before[:], binary.BigEndian.AppendUint64(nil, seq), record))
	return out
}

// An audit record is stored as its code (32 bytes) and the record.
func marshalAudit(code [32]byte, record []byte) []byte {
	return append(append(make([]byte, 0, 32+len(record)), code[:]...), record...)
}

func parseAudit(b []byte) (code [32]byte, record []byte, err error) {
	if len(b) < 32 {
		return code, nil, fmt.Errorf("%w: audit record has %d bytes", ErrCorrupt, len(b))
	}
	copy(code[:], b)
	return code, b[32:], nil
}
