package grouposcore

import (
	"bytes"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/replay"
	"github.com/cohort-iot/cohort/internal/secret"
)

// recipient is one Recipient Context (Section 2): the keys and the Replay
// Window for one Sender ID heard.
type recipient struct {
	home   *common
	id     []byte
	cred   *cose.Credential
	keyID  string
	key    secret.Bytes // Recipient Key; salt of the pairwise one
	sigLen int          // countersignature size in bytes, 0 without group mode

	removed atomic.Bool // deleted on purpose; exchanges that still hold it stop

	mu     sync.Mutex
	window *replay.Window // nil once a successor with another credential has it
	born   uint64         // how many deletions the table had seen when this entered it
	fresh  bool           // a request was shown to be fresh (Section 9)
	pair   *pairKeys
	told   *sender // own Sender Context under which this peer was last sent a kid
}

// newRecipient derives a Recipient Context for a Sender ID. It is in no table
// yet.
func (c *common) newRecipient(id []byte, cred *cose.Credential) (*recipient, error) {
	if err := c.params.checkCredential(cred); err != nil {
		return nil, err
	}
	r := &recipient{
		home: c, id: append([]byte{}, id...), cred: cred, keyID: keyID(cred),
		window: replay.New(c.params.ReplayWindow),
	}
	if c.params.groupMode() {
		n, err := cred.PublicKey().SignatureSize(c.params.Signature)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrBadCredential, err)
		}
		r.sigLen = n
	}
	var err error
	r.key, err = c.memberKey(r.id)
	return r, err
}

// recipient returns the Recipient Context of a Sender ID: the one there is, or
// a new one that is not in the table until a message verified under it
// (Sections 7.2 and 7.4). So a message that does not verify leaves nothing
// behind, and nothing counts as deleted. The CredentialSource is asked each
// time: a member whose credential was taken back is not heard, and one that
// has another credential goes on with that, and with the same Replay Window.
// Messages made with the endpoint's own key are nobody else's, whatever their
// kid: ErrOwnSenderID.
func (c *Context) recipient(id []byte) (*recipient, error) { return c.recipientOr(nil, id) }

// recipientOr is recipient, but prefers held, which an exchange holds, to the
// one in the table.
func (c *Context) recipientOr(held *recipient, id []byte) (*recipient, error) {
	if len(id) > c.params.MaxSenderID() {
		return nil, fmt.Errorf("%w: kid of %d bytes", ErrMalformed, len(id))
	}
	known, err := c.peers.find(id)
	if err != nil {
		return nil, err
	}
	if held != nil {
		known = held
	}
	var handed []byte // not the caller's bytes: these stay on its stack
	if known != nil {
		handed = known.id
	} else {
		handed = bytes.Clone(id)
	}
	cred, err := c.creds.Credential(c.gid, handed)
	if err != nil {
		return nil, err
	}
	if cred == nil {
		return nil, ErrNoCredential
	}
	if known != nil && known.has(cred) {
		return known, nil
	}
	if c.self != nil && sameKey(cred, c.self.cred) {
		return nil, ErrOwnSenderID
	}
	r, err := c.newRecipient(id, cred)
	if err != nil || known == nil {
		return r, err
	}
	return c.peers.replace(known, r), nil
}

// has reports whether cred is this peer's credential.
func (r *recipient) has(cred *cose.Credential) bool { return r.cred == cred || r.cred.Equal(cred) }

// enter prepares r for the table it enters: after any deletion, or where
// windows are lost, a new Recipient Context has an invalid window. t.mu is held.
func (r *recipient) enter(deleted uint64, lost bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.window == nil {
		return ErrStale
	}
	r.born = deleted
	if lost || deleted > 0 {
		r.window.Invalidate()
	}
	return nil
}

// inherit takes the window of the same Sender ID under its former credential.
// Messages in work under that one are not accepted any more. t.mu is held.
func (r *recipient) inherit(old *recipient) {
	old.mu.Lock()
	defer old.mu.Unlock()
	r.window, r.born = old.window, old.born
	old.window, old.pair = nil, nil
}

// forgetPairwise deletes the pairwise keys.
func (r *recipient) forgetPairwise() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pair = nil
}

// check asks the window without changing it. An invalid window is no replay:
// the message is verified first.
func (r *recipient) check(seq uint64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.window == nil || !r.window.Valid() {
		return nil
	}
	return r.judge(r.window.Check(seq))
}

// accept checks again and marks, atomically (Section 5.3). Only for a verified
// message. fresh reports whether the peer was shown to be fresh before.
func (r *recipient) accept(seq uint64) (fresh bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.window == nil || r.removed.Load() {
		return false, ErrStale
	}
	return r.fresh, r.judge(r.window.Accept(seq))
}

// judge gives the window's verdict in this package's errors.
func (r *recipient) judge(err error) error {
	switch {
	case err == nil:
		return nil
	case !r.window.Valid():
		return ErrWindowInvalid
	}
	return ErrReplay
}

// valid reports whether the Replay Window is valid.
func (r *recipient) valid() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.window != nil && r.window.Valid()
}

// bornBy reports whether the table had seen no more than so many deletions when
// the Recipient Context entered it.
func (r *recipient) bornBy(deletions uint64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.window != nil && r.born <= deletions
}

// confirm notes that the peer is fresh. If seq came under an invalid window it
// makes the window valid at seq; a window that is valid by now decides by its
// own contents (Section 9).
func (r *recipient) confirm(seq uint64, received bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.window == nil || r.removed.Load() {
		return ErrStale
	}
	switch {
	case received:
	case r.window.Valid():
		if err := r.judge(r.window.Accept(seq)); err != nil {
			return err
		}
	default:
		r.window.Resync(seq)
	}
	r.fresh = true
	return nil
}
