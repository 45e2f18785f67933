package grouposcore

import (
	"bytes"
	"crypto/cipher"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/cborx"
	"github.com/cohort-iot/cohort/internal/replay"
	"github.com/cohort-iot/cohort/internal/secret"
)

// recipient is one Recipient Context (Section 2): the keys and the Replay
// Window for one Sender ID heard.
type recipient struct {
	home     *common
	id       []byte
	cred     *cose.Credential
	credItem []byte // cred as a CBOR byte string
	keyID    string
	key      secret.Bytes // Recipient Key; salt of the pairwise one
	enc      cipher.AEAD  // Recipient Key in the Group Encryption Algorithm, or nil
	sigLen   int          // countersignature size in bytes, 0 without group mode

	removed atomic.Bool // deleted on purpose; exchanges that still hold it stop

	mu     sync.Mutex
	window *replay.Window
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
		credItem: cborx.AppendBytes(nil, cred.Bytes()),
		window:   replay.New(c.params.ReplayWindow),
	}
	if c.params.groupMode() {
		n, err := cred.PublicKey().SignatureSize(c.params.Signature)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrBadCredential, err)
		}
		r.sigLen = n
	}
	var err error
	r.key, r.enc, err = c.memberKey(r.id)
	return r, err
}

// recipient returns the Recipient Context of a Sender ID: the one there is, or
// a new one that is not in the table until a message verified under it
// (Sections 7.2 and 7.4). So a message that does not verify leaves nothing
// behind, and nothing counts as deleted.
func (c *Context) recipient(id []byte) (*recipient, error) {
	if r := c.peers.get(id); r != nil {
		return r, nil
	}
	if len(id) > c.params.MaxSenderID() {
		return nil, fmt.Errorf("%w: kid of %d bytes", ErrMalformed, len(id))
	}
	cred, err := c.creds.Credential(bytes.Clone(c.gid), bytes.Clone(id))
	if err != nil {
		return nil, err
	}
	if cred == nil {
		return nil, ErrNoCredential
	}
	return c.newRecipient(id, cred)
}

// check asks the window without changing it. An invalid window is no replay:
// the message is verified first.
func (r *recipient) check(seq uint64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.window.Valid() {
		return nil
	}
	return r.judge(r.window.Check(seq))
}

// accept checks again and marks, atomically (Section 5.3). Only for a verified
// message.
func (r *recipient) accept(seq uint64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.judge(r.window.Accept(seq))
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
	return r.window.Valid()
}

// resync makes the window valid at seq; a window that is valid decides by its
// own contents (Section 9).
func (r *recipient) resync(seq uint64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.window.Valid() {
		return r.judge(r.window.Accept(seq))
	}
	r.window.Resync(seq)
	return nil
}
