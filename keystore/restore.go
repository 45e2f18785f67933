package keystore

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// How far Restore moves the counters of the store ahead, since the backup cannot know how far they went after it was taken.
const (
	restoreGenerations = 1 << 20
	restoreCommits     = 1 << 32
)

// Restore writes a backup into an empty backend. It reads r twice: first all of it is verified, then written. The
// restored store says Restart.Restored until an effect settles that, and its sequence records are refused
// (ErrSequenceLost): numbers, identifiers and keys given out after the backup are unknown, so the application must
// advance its counters and replace its keys before it serves. An interrupted Restore leaves a backend that Open refuses
// as corrupt. Of o, DataKey or Wrapper and Rand are used.
func Restore(ctx context.Context, r io.ReadSeeker, b Backend, o Options) (Manifest, error) {
	m, err := VerifyBackup(r, o)
	if err != nil {
		return m, err
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return m, fmt.Errorf("keystore: restore: %w", err)
	}
	err = b.View(func(r BackendReader) error {
		return r.Scan("", "", func(Name, []byte) error {
			return errors.New("keystore: restore: the target is not empty; give a new data file")
		})
	})
	if err != nil {
		return m, err
	}
	w := restorer{ctx: ctx, b: b}
	if _, err := readBackup(r, o, w.put); err != nil {
		return m, err
	}
	return m, w.finish(o)
}

// restorer writes the records in batches, header and head last.
type restorer struct {
	ctx   context.Context
	b     Backend
	batch Batch
	bytes int
	last  Batch
}

func (w *restorer) put(op Op) error {
	if op.Name == headerName || op.Name == headName || op.Name == wrappedName {
		w.last = append(w.last, op)
		return nil
	}
	w.batch = append(w.batch, op)
	if w.bytes += len(op.Name) + len(op.Value); len(w.batch) < maxPrune && w.bytes < maxGroupBytes {
		return nil
	}
	return w.flush()
}

func (w *restorer) flush() error {
	if err := w.ctx.Err(); err != nil {
		return fmt.Errorf("keystore: restore: %w", err)
	}
	if len(w.batch) == 0 {
		return nil
	}
	if err := w.b.Apply(w.batch, Fence{Name: headName}); err != nil {
		return fmt.Errorf("keystore: restore: %w", err)
	}
	w.batch, w.bytes = nil, 0
	return nil
}

func (w *restorer) finish(o Options) error {
	if err := w.flush(); err != nil {
		return err
	}
	s := newStore(w.b, o)
	var batch Batch
	byName := map[Name][]byte{}
	for _, op := range w.last {
		byName[op.Name] = op.Value
		if op.Name != headName {
			batch = append(batch, op)
		}
	}
	h, err := parseHeader(byName[headerName])
	if err != nil {
		return err
	}
	if err := s.unlock(h, byName[wrappedName], o); err != nil {
		return err
	}
	defer s.keys.wipe()
	plain, _, err := s.env().open(headName, byName[headName])
	if err != nil {
		return err
	}
	next, err := parseHead(plain)
	if err != nil {
		return err
	}
	next.generation += restoreGenerations
	next.commit += restoreCommits
	next.distrust = next.commit
	next.clean, next.restored = false, true
	if err := s.applyHead(next, batch); err != nil {
		return fmt.Errorf("keystore: restore: %w", err)
	}
	return nil
}
