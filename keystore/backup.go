package keystore

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// A backup is: magic (16 bytes) | records as stored, sealed, each length of the name (2) | name | length of the value
// (4) | value: the header, the wrapped key if there is one, then all others in ascending order of names | a zero length
// (2) | number of records (8) | HMAC-SHA-256 of all that under a key that only backups use (32).
const (
	backupMagic    = "cohort-backup 1\n"
	maxBackupName  = 1 + maxKind + 1 + 8*maxIDs
	maxBackupValue = MaxValue + 32 + sealOverhead
)

// Manifest describes a backup.
type Manifest struct {
	ID         []byte // identity of the store
	Schema     uint32
	Generation uint64
	Commit     uint64 // last commit it contains
	Records    uint64
	AuditSeq   uint64 // last audit record it contains
}

// Backup writes one consistent state of the store, while it works on. What it writes is as sealed as the store, and
// opens with the key file or passphrase of now.
func (s *Store) Backup(w io.Writer) (m Manifest, err error) {
	err = s.viewRaw(func(r BackendReader) error {
		h := hmac.New(sha256.New, s.keys.backup)
		buf := bufio.NewWriterSize(io.MultiWriter(w, h), 64<<10)
		b := append(make([]byte, 0, 256), backupMagic...)
		write := func(n Name, v []byte) error {
			m.Records++
			b = binary.BigEndian.AppendUint16(b, uint16(len(n)))
			b = append(b, n...)
			b = binary.BigEndian.AppendUint32(b, uint32(len(v)))
			if _, err := buf.Write(b); err != nil {
				return err
			}
			b = b[:0]
			_, err := buf.Write(v)
			return err
		}
		if err := backupOrder(r, write); err != nil {
			return fmt.Errorf("keystore: backup: %w", err)
		}
		b = append(b, 0, 0)
		b = binary.BigEndian.AppendUint64(b, m.Records)
		if _, err := buf.Write(b); err != nil {
			return fmt.Errorf("keystore: backup: %w", err)
		}
		if err := buf.Flush(); err != nil {
			return fmt.Errorf("keystore: backup: %w", err)
		}
		if _, err := w.Write(h.Sum(nil)); err != nil {
			return fmt.Errorf("keystore: backup: %w", err)
		}
		return m.describe(auditReader{s: s, r: r})
	})
	return m, err
}

// backupOrder calls fn for all records in the order of a backup.
func backupOrder(r BackendReader, fn func(n Name, v []byte) error) error {
	for _, n := range []Name{headerName, wrappedName} {
		v, err := r.Get(n)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if err := fn(n, v); err != nil {
			return err
		}
	}
	return r.Scan("", "", func(n Name, v []byte) error {
		if n == headerName || n == wrappedName {
			return nil
		}
		return fn(n, v)
	})
}

// describe fills the manifest from the head of a state.
func (m *Manifest) describe(a auditReader) error {
	plain, err := a.internal(headName)
	if err != nil {
		return err
	}
	h, err := parseHead(plain)
	if err != nil {
		return err
	}
	m.fill(a.s.id, h)
	return nil
}

func (m *Manifest) fill(id storeID, h head) {
	m.ID = append([]byte(nil), id[:]...)
	m.Schema, m.Generation, m.Commit, m.AuditSeq = h.schema, h.generation, h.commit, h.auditSeq
}
