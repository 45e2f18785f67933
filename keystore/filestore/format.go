package filestore

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/cohort-iot/cohort/keystore"
)

// The file: magic (16 bytes) | records, each length of the name (2) | name | length of the value (4) | value, in
// strictly ascending order of names | SHA-256 of all that. Numbers are big endian.
const (
	magic    = "cohort-records 1"
	overhead = len(magic) + sha256.Size
)

func encode(m *keystore.Memory) ([]byte, error) {
	b := make([]byte, 0, overhead+m.Size()+6*m.Len())
	b = append(b, magic...)
	err := m.View(func(r keystore.BackendReader) error {
		return r.Scan("", "", func(n keystore.Name, v []byte) error {
			b = binary.BigEndian.AppendUint16(b, uint16(len(n)))
			b = append(b, n...)
			b = binary.BigEndian.AppendUint32(b, uint32(len(v)))
			b = append(b, v...)
			return nil
		})
	})
	sum := sha256.Sum256(b)
	return append(b, sum[:]...), err
}

// decode returns the records as one batch. The values alias b.
func decode(b []byte) (keystore.Batch, error) {
	if len(b) < overhead || string(b[:len(magic)]) != magic {
		return nil, fmt.Errorf("%w: not a record file", keystore.ErrCorrupt)
	}
	body := b[:len(b)-sha256.Size]
	if sum := sha256.Sum256(body); !bytes.Equal(sum[:], b[len(body):]) {
		return nil, fmt.Errorf("%w: checksum does not match", keystore.ErrCorrupt)
	}
	var batch keystore.Batch
	for body = body[len(magic):]; len(body) > 0; {
		var op keystore.Op
		var ok bool
		if op, body, ok = record(body); !ok || len(batch) > 0 && op.Name <= batch[len(batch)-1].Name {
			return nil, fmt.Errorf("%w: record %d is malformed", keystore.ErrCorrupt, len(batch))
		}
		batch = append(batch, op)
	}
	return batch, nil
}

func record(b []byte) (op keystore.Op, rest []byte, ok bool) {
	if len(b) < 2 {
		return op, nil, false
	}
	n := int(binary.BigEndian.Uint16(b))
	if b = b[2:]; len(b) < n+4 || n == 0 {
		return op, nil, false
	}
	op.Name = keystore.Name(b[:n])
	b = b[n:]
	v := uint64(binary.BigEndian.Uint32(b))
	if b = b[4:]; v == 0 || uint64(len(b)) < v {
		return op, nil, false
	}
	op.Value = b[:v:v]
	return op, b[v:], true
}
