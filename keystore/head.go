package keystore

import (
	"encoding/binary"
	"fmt"
)

// head is the sealed record that every commit rewrites; it is also the fence.
type head struct {
	schema     uint32 // of the application's records
	generation uint64 // opens of this store, counted
	commit     uint64 // commits, counted over all generations; the version of what a commit seals
	clean      bool   // the last thing the program did was to close the store
	restored   bool   // came from a backup, and no effect has settled that since (Tx.Settle)
	doubtful   bool   // an opening could not prove that the data is the newest, and no effect has settled that since
	auditSeq   uint64 // last audit record, 0 for none
	auditMAC   [32]byte
	distrust   uint64 // sequence records of this commit or an older one may be behind what was used: the data was rolled back or restored then
}

const headSize = 1 + 4 + 8 + 8 + 1 + 8 + 32 + 8

func (h head) marshal() []byte {
	b := make([]byte, 0, headSize)
	b = append(b, 1)
	b = binary.BigEndian.AppendUint32(b, h.schema)
	b = binary.BigEndian.AppendUint64(b, h.generation)
	b = binary.BigEndian.AppendUint64(b, h.commit)
	var flags byte
	if h.clean {
		flags |= 1
	}
	if h.restored {
		flags |= 2
	}
	if h.doubtful {
		flags |= 4
	}
	b = append(b, flags)
	b = binary.BigEndian.AppendUint64(b, h.auditSeq)
	b = append(b, h.auditMAC[:]...)
	return binary.BigEndian.AppendUint64(b, h.distrust)
}

func parseHead(b []byte) (h head, err error) {
	if len(b) != headSize || b[0] != 1 || b[21]&^7 != 0 {
		return h, fmt.Errorf("%w: head record", ErrCorrupt)
	}
	h.schema = binary.BigEndian.Uint32(b[1:])
	h.generation = binary.BigEndian.Uint64(b[5:])
	h.commit = binary.BigEndian.Uint64(b[13:])
	h.clean, h.restored, h.doubtful = b[21]&1 != 0, b[21]&2 != 0, b[21]&4 != 0
	h.auditSeq = binary.BigEndian.Uint64(b[22:])
	copy(h.auditMAC[:], b[30:])
	h.distrust = binary.BigEndian.Uint64(b[62:])
	return h, nil
}
