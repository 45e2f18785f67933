package keystore

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// Checkpoint is one point of the audit chain that can be kept elsewhere: as long as the log holds the record of that
// number, AuditVerify shows that everything up to it is unchanged. It contains no secret.
type Checkpoint struct {
	// Seq is the number of the last audit record covered, 0 for an empty log.
	Seq uint64
	// Code is the authentication code of that record, zero for an empty log.
	Code [32]byte
}

// String returns the checkpoint as one word: number, colon, code in hexadecimal.
func (c Checkpoint) String() string { return fmt.Sprintf("%d:%x", c.Seq, c.Code) }

// ParseCheckpoint reads what String wrote.
func ParseCheckpoint(s string) (c Checkpoint, err error) {
	seq, code, ok := strings.Cut(s, ":")
	if !ok || len(code) != 64 {
		return c, errors.New("keystore: not a checkpoint of an audit log")
	}
	if _, err := fmt.Sscanf(seq, "%d", &c.Seq); err != nil || fmt.Sprint(c.Seq) != seq {
		return c, errors.New("keystore: not a checkpoint of an audit log")
	}
	if _, err := hex.Decode(c.Code[:], []byte(code)); err != nil {
		return c, fmt.Errorf("keystore: not a checkpoint of an audit log: %w", err)
	}
	return c, nil
}

// prunedName holds the checkpoint at which the log begins after pruning: number (8 bytes) | code (32). Without it the
// log begins at record 1.
var prunedName = internalKey("audit-pruned")

func (c Checkpoint) marshal() []byte {
	return append(binary.BigEndian.AppendUint64(nil, c.Seq), c.Code[:]...)
}

func parsePruned(b []byte) (c Checkpoint, err error) {
	if len(b) != 40 {
		return c, fmt.Errorf("%w: pruning checkpoint", ErrCorrupt)
	}
	c.Seq = binary.BigEndian.Uint64(b)
	copy(c.Code[:], b[8:])
	return c, nil
}

// auditReader is the log in one state of the store.
type auditReader struct {
	s      *Store
	r      BackendReader
	pruned Checkpoint
	head   head
}

func (s *Store) viewAudit(fn func(a auditReader) error) error {
	return s.viewRaw(func(r BackendReader) error {
		a := auditReader{s: s, r: r}
		plain, err := a.internal(headName)
		if err != nil {
			return err
		}
		if a.head, err = parseHead(plain); err != nil {
			return err
		}
		plain, err = a.internal(prunedName)
		if errors.Is(err, ErrNotFound) {
			return fn(a)
		}
		if err != nil {
			return err
		}
		if a.pruned, err = parsePruned(plain); err != nil {
			return err
		}
		return fn(a)
	})
}

func (a auditReader) internal(n Name) ([]byte, error) {
	sealed, err := a.r.Get(n)
	if err != nil {
		return nil, err
	}
	plain, _, err := a.s.env().open(n, sealed)
	return plain, err
}

// scan calls fn for the records after number from.
func (a auditReader) scan(from uint64, fn func(seq uint64, code [32]byte, record []byte) error) error {
	return a.r.Scan(internalKey(auditKind), auditName(from), func(n Name, sealed []byte) error {
		plain, _, err := a.s.env().open(n, sealed)
		if err != nil {
			return err
		}
		code, record, err := parseAudit(plain)
		if err != nil {
			return err
		}
		return fn(n.ID(0), code, record)
	})
}

// AuditScan calls fn for each audit record whose number is at least from, in order; numbers begin at 1. The record
// belongs to fn; ErrStop ends the scan. Records before the one that AuditRange reports were pruned.
func (s *Store) AuditScan(from uint64, fn func(seq uint64, record []byte) error) error {
	err := s.viewAudit(func(a auditReader) error {
		return a.scan(max(from, 1)-1, func(seq uint64, _ [32]byte, record []byte) error { return fn(seq, record) })
	})
	if errors.Is(err, ErrStop) {
		return nil
	}
	return err
}

// AuditRange returns the numbers of the first and the last record the log holds; first is last + 1 when it holds none.
func (s *Store) AuditRange() (first, last uint64, err error) {
	err = s.viewAudit(func(a auditReader) error {
		first, last = a.pruned.Seq+1, a.head.auditSeq
		return nil
	})
	return first, last, err
}

// AuditCheckpoint returns the end of the chain, to be kept outside.
func (s *Store) AuditCheckpoint() (c Checkpoint, err error) {
	err = s.viewAudit(func(a auditReader) error {
		c = Checkpoint{a.head.auditSeq, a.head.auditMAC}
		return nil
	})
	return c, err
}

// AuditVerify follows the whole chain, from where pruning left it to its end, and compares it with checkpoints that were
// kept outside. ErrAuditBroken, with the number of the record, when a record is missing, changed or out of order, when
// the end is not the one the store committed last, or when a checkpoint differs or lies beyond the end. Checkpoints
// older than the pruning cannot be compared, and count as not compared. It returns how many records and checkpoints were
// compared.
func (s *Store) AuditVerify(known ...Checkpoint) (records, checkpoints uint64, err error) {
	err = s.viewAudit(func(a auditReader) error {
		at := a.pruned
		compare := func() error {
			for _, k := range known {
				if k.Seq != at.Seq {
					continue
				}
				if k.Code != at.Code {
					return fmt.Errorf("%w: record %d is not the one of the checkpoint", ErrAuditBroken, k.Seq)
				}
				checkpoints++
			}
			return nil
		}
		if err := compare(); err != nil {
			return err
		}
		err := a.scan(at.Seq, func(seq uint64, code [32]byte, record []byte) error {
			if seq != at.Seq+1 {
				return fmt.Errorf("%w: record %d is missing", ErrAuditBroken, at.Seq+1)
			}
			if code != s.chain(at.Code, seq, record) {
				return fmt.Errorf("%w: record %d does not follow from the one before", ErrAuditBroken, seq)
			}
			at = Checkpoint{seq, code}
			records++
			return compare()
		})
		if err != nil {
			return err
		}
		if at.Seq != a.head.auditSeq || at.Code != a.head.auditMAC {
			return fmt.Errorf("%w: it ends with record %d, the store committed record %d last", ErrAuditBroken, at.Seq, a.head.auditSeq)
		}
		for _, k := range known {
			if k.Seq > at.Seq {
				return fmt.Errorf("%w: checkpoint %d lies beyond the last record %d: records were cut off, or the store was rolled back", ErrAuditBroken, k.Seq, at.Seq)
			}
		}
		return nil
	})
	return records, checkpoints, err
}

// AuditPrune removes the records up to and including number upTo and keeps a checkpoint in their place, so that the rest
// still verifies. It works in several commits and may be repeated after an interruption. It returns how many records it
// removed.
func (s *Store) AuditPrune(ctx context.Context, upTo uint64) (removed uint64, err error) {
	for {
		n, more, err := s.pruneSome(ctx, upTo)
		removed += n
		if err != nil || !more {
			return removed, err
		}
	}
}

func (s *Store) pruneSome(ctx context.Context, upTo uint64) (removed uint64, more bool, err error) {
	var batch Batch
	var last Checkpoint
	err = s.viewAudit(func(a auditReader) error {
		return a.scan(a.pruned.Seq, func(seq uint64, code [32]byte, _ []byte) error {
			if seq > upTo {
				return ErrStop
			}
			if len(batch) == maxPrune {
				more = true
				return ErrStop
			}
			batch = append(batch, Op{Name: auditName(seq)})
			last = Checkpoint{seq, code}
			return nil
		})
	})
	if err != nil && !errors.Is(err, ErrStop) || len(batch) == 0 {
		if errors.Is(err, ErrStop) {
			err = nil
		}
		return 0, false, err
	}
	removed = uint64(len(batch))
	err = s.exclusive(ctx, func() error {
		next := s.head
		next.commit++
		next.clean = false
		sealed, err := s.sealValue(prunedName, next.commit, last.marshal())
		if err != nil {
			return err
		}
		return s.applyHead(next, append(batch, Op{Name: prunedName, Value: sealed}))
	})
	if err != nil {
		return 0, false, err
	}
	return removed, more, nil
}
