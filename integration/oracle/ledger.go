package oracle

import (
	"crypto/sha256"
	"errors"
	"fmt"
)

// ErrReuse says that one key and nonce made two different ciphertexts.
var ErrReuse = errors.New("key and nonce were used twice")

// Ledger knows every key and nonce that was used, and for what. The zero value
// is empty. It is not safe for concurrent use.
type Ledger struct {
	used map[[sha256.Size]byte]use
}

type use struct {
	ciphertext [sha256.Size]byte
	where      string
}

// Note enters a use. The same ciphertext again is a retransmission and no use of
// its own; another one is ErrReuse.
func (l *Ledger) Note(key, nonce, ciphertext []byte, where string) (known bool, err error) {
	h := sha256.New()
	fmt.Fprintf(h, "%d ", len(key))
	h.Write(key)
	h.Write(nonce)
	id := [sha256.Size]byte(h.Sum(nil))
	now := use{sha256.Sum256(ciphertext), where}
	before, known := l.used[id]
	switch {
	case !known:
		if l.used == nil {
			l.used = map[[sha256.Size]byte]use{}
		}
		l.used[id] = now
		return false, nil
	case before.ciphertext != now.ciphertext:
		return true, fmt.Errorf("%w: first in %s, then in %s", ErrReuse, before.where, where)
	}
	return true, nil
}

// Len is how many keys and nonces were used.
func (l *Ledger) Len() int { return len(l.used) }
