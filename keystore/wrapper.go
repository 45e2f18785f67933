package keystore

import (
	"context"
	"fmt"

	"github.com/cohort-iot/cohort/internal/secret"
)

// KeyWrapper protects the data key at rest. Package seal has wrappers over a key file, a passphrase file and a systemd
// credential. The id is the identity of the store and must be bound to the result, so that a wrapped key cannot be moved
// to another store.
type KeyWrapper interface {
	Wrap(dataKey secret.Bytes, id []byte) ([]byte, error)
	// Unwrap returns ErrWrongKey when the blob was wrapped under another key, ErrCorrupt when it was changed.
	Unwrap(blob, id []byte) (secret.Bytes, error)
}

var wrappedName = internalKey("wrapped-key")

// Rewrap wraps the data key anew, under another wrapper or the same one, and makes that durable: the old key file or
// passphrase opens this store no longer. Copies and backups made before still open with the old one.
func (s *Store) Rewrap(ctx context.Context, w KeyWrapper) error {
	blob, err := w.Wrap(s.keys.data, s.id[:])
	if err != nil {
		return fmt.Errorf("keystore: rewrap: %w", err)
	}
	return s.exclusive(ctx, func() error {
		next := s.head
		next.commit++
		return s.applyHead(next, Batch{{Name: wrappedName, Value: blob}})
	})
}

// unlock takes the data key that o gives directly, or the one in the blob, which is nil when there is none, and derives
// the keys. ErrWrongKey.
func (s *Store) unlock(h header, blob []byte, o Options) (err error) {
	s.id = h.id
	s.keys, err = h.unlock(blob, o)
	return err
}

func (h header) unlock(blob []byte, o Options) (*keys, error) {
	dataKey := o.DataKey.Clone()
	if o.Wrapper != nil {
		if blob == nil {
			return nil, fmt.Errorf("%w: it has no wrapped data key; it was made with a data key given directly", ErrWrongKey)
		}
		var err error
		if dataKey, err = o.Wrapper.Unwrap(blob, h.id[:]); err != nil {
			return nil, err
		}
	}
	k, err := deriveKeys(dataKey, h.id)
	if err != nil {
		return nil, err
	}
	if !secret.Bytes(h.check[:]).Equal(k.check) {
		k.wipe()
		return nil, fmt.Errorf("%w: give the key that this store was made with", ErrWrongKey)
	}
	return k, nil
}
