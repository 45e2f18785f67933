package grouposcore

import (
	"crypto/cipher"
	"fmt"

	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/secret"
	"github.com/cohort-iot/cohort/oscore"
)

// pairKeys are the pairwise keys shared with one peer, of one own Sender
// Context (Section 2.5.1).
type pairKeys struct {
	self       *sender
	send, recv cipher.AEAD
}

// pairKeys returns the pairwise keys of self and the peer, derived at first
// need and kept with the Recipient Context; a new own Sender ID replaces them.
func (c *common) pairKeys(self *sender, r *recipient) (*pairKeys, error) {
	r.mu.Lock()
	pair := r.pair
	r.mu.Unlock()
	if pair != nil && pair.self == self {
		return pair, nil
	}
	shared, err := c.agreed.Load().of(self, r.cred, r.keyID)
	if err != nil {
		return nil, err
	}
	defer shared.Wipe()
	pair = &pairKeys{self: self}
	if pair.send, err = c.pairCipher(self.key, self.id, self.cred, r.cred, shared); err != nil {
		return nil, err
	}
	if pair.recv, err = c.pairCipher(r.key, r.id, r.cred, self.cred, shared); err != nil {
		return nil, err
	}
	r.mu.Lock()
	r.pair = pair
	r.mu.Unlock()
	return pair, nil
}

// sendCipher derives only the Pairwise Sender Key for a peer known by its
// credential: the key does not depend on the peer's Sender ID. It is kept
// nowhere, so that nothing of it outlives the Security Context.
func (c *common) sendCipher(self *sender, r *recipient) (cipher.AEAD, error) {
	shared, err := c.agreed.Load().of(self, r.cred, r.keyID)
	if err != nil {
		return nil, err
	}
	defer shared.Wipe()
	return c.pairCipher(self.key, self.id, self.cred, r.cred, shared)
}

// pairCipher is the cipher of pairKey.
func (c *common) pairCipher(salt secret.Bytes, id []byte, from, to *cose.Credential, shared secret.Bytes) (cipher.AEAD, error) {
	key, err := c.pairKey(salt, id, from, to, shared)
	if err != nil {
		return nil, err
	}
	defer key.Wipe()
	return cose.NewCipher(c.params.AEAD, key)
}

// pairKey derives the key of one direction. Salt, id and the first credential
// are those of the direction's sender, and the algorithm is the AEAD Algorithm
// even where the salt was derived for another.
func (c *common) pairKey(salt secret.Bytes, id []byte, from, to *cose.Credential, shared secret.Bytes) (secret.Bytes, error) {
	a, b := from.Bytes(), to.Bytes()
	ikm := make(secret.Bytes, 0, len(a)+len(b)+len(shared))
	ikm = append(append(append(ikm, a...), b...), shared...)
	defer ikm.Wipe()
	size, _ := c.params.AEAD.AEAD()
	key, err := oscore.DeriveKey(c.hkdf, ikm, salt, id, c.gid, c.params.AEAD, "Key", size.KeySize)
	if err != nil {
		return nil, fmt.Errorf("pairwise key: %w", err)
	}
	return key, nil
}
