package keystore

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
)

// backupReader reads a backup and authenticates it.
type backupReader struct {
	r       *bufio.Reader
	sum     hash.Hash // of the bytes since the keys are known
	early   []byte    // bytes before
	o       Options
	keys    *keys
	env     envelope
	raw     map[Name][]byte // header, wrapped key, head
	records uint64
	last    Name
	head    head
}

// VerifyBackup reads a whole backup and checks that it is complete, unchanged, and opens with the key in o (DataKey or
// Wrapper; the rest is ignored). ErrBackup, ErrWrongKey.
func VerifyBackup(r io.Reader, o Options) (Manifest, error) {
	return readBackup(r, o, func(Op) error { return nil })
}

func readBackup(r io.Reader, o Options, fn func(Op) error) (m Manifest, err error) {
	if (o.DataKey == nil) == (o.Wrapper == nil) {
		return m, errors.New("keystore: backup: give either a data key or a wrapper")
	}
	b := &backupReader{r: bufio.NewReaderSize(r, 64<<10), o: o, raw: map[Name][]byte{}}
	magic, err := b.take(len(backupMagic))
	if err != nil {
		return m, err
	}
	if string(magic) != backupMagic {
		return m, fmt.Errorf("%w: not a backup of this program", ErrBackup)
	}
	for {
		op, err := b.record()
		if err != nil {
			return m, err
		}
		if op.Value == nil {
			break
		}
		if err := fn(op); err != nil {
			return m, err
		}
	}
	if err := b.end(); err != nil {
		return m, err
	}
	m.fill(b.env.id, b.head)
	m.Records = b.records
	return m, nil
}

// take reads n bytes and authenticates them.
func (b *backupReader) take(n int) ([]byte, error) {
	p := make([]byte, n)
	if _, err := io.ReadFull(b.r, p); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, fmt.Errorf("%w: it is cut off after %d records", ErrBackup, b.records)
		}
		return nil, fmt.Errorf("keystore: read backup: %w", err)
	}
	if b.sum != nil {
		b.sum.Write(p)
	} else if b.early = append(b.early, p...); len(b.early) > 4*maxBackupValue {
		return nil, fmt.Errorf("%w: no header", ErrBackup)
	}
	return p, nil
}

// record reads one record; its value is nil at the end of the records.
func (b *backupReader) record() (op Op, err error) {
	p, err := b.take(2)
	if err != nil {
		return op, err
	}
	n := int(binary.BigEndian.Uint16(p))
	if n == 0 {
		return op, nil
	}
	if n > maxBackupName {
		return op, fmt.Errorf("%w: record %d has a name of %d bytes", ErrBackup, b.records, n)
	}
	if p, err = b.take(n + 4); err != nil {
		return op, err
	}
	op.Name = Name(p[:n])
	size := binary.BigEndian.Uint32(p[n:])
	if !b.inOrder(op.Name) || size == 0 || size > maxBackupValue {
		return op, fmt.Errorf("%w: record %d is malformed", ErrBackup, b.records)
	}
	if op.Value, err = b.take(int(size)); err != nil {
		return op, err
	}
	b.records++
	return op, b.learn(op)
}

// inOrder tells whether the name may come next.
func (b *backupReader) inOrder(n Name) bool {
	switch {
	case b.records == 0:
		return n == headerName
	case n == headerName:
		return false
	case n == wrappedName:
		return b.records == 1
	}
	ok := n > b.last
	b.last = n
	return ok
}

// learn keeps the records that lead to the keys, and derives these when it has them.
func (b *backupReader) learn(op Op) error {
	switch op.Name {
	case headerName, headName, wrappedName:
		b.raw[op.Name] = op.Value
	}
	if b.keys != nil || b.raw[headerName] == nil || b.o.Wrapper != nil && b.raw[wrappedName] == nil {
		return nil
	}
	h, err := parseHeader(b.raw[headerName])
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBackup, err)
	}
	if b.keys, err = h.unlock(b.raw[wrappedName], b.o); err != nil {
		return err
	}
	b.env = envelope{key: b.keys.seal, id: h.id}
	b.sum = hmac.New(sha256.New, b.keys.backup)
	b.sum.Write(b.early)
	b.early = nil
	return nil
}

func (b *backupReader) end() error {
	p, err := b.take(8)
	if err != nil {
		return err
	}
	if b.keys == nil || b.raw[headName] == nil {
		return fmt.Errorf("%w: header, key or head is missing", ErrBackup)
	}
	want := b.sum.Sum(nil)
	got, err := b.take(len(want))
	if err != nil {
		return err
	}
	if binary.BigEndian.Uint64(p) != b.records || !hmac.Equal(got, want) {
		return fmt.Errorf("%w: authentication code", ErrBackup)
	}
	if _, err := b.r.ReadByte(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: bytes behind its end", ErrBackup)
	}
	plain, _, err := b.env.open(headName, b.raw[headName])
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBackup, err)
	}
	b.head, err = parseHead(plain)
	return err
}
