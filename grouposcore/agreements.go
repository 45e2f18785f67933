package grouposcore

import (
	"fmt"
	"sync"

	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/secret"
)

// agreements keeps Diffie-Hellman secrets. They do not change while the key
// pairs of both sides stay, so they serve one Security Context after the other
// (Section 2.5.1), and after a rekey the pairwise keys cost no key agreement.
// A secret that leaks lets another member impersonate both sides to each other
// (Section 14.2), so that what was not used during a whole Security Context is
// deleted, and their number is bounded.
type agreements struct {
	mu    sync.Mutex
	max   int
	epoch uint64
	byKey map[agreementKey]*agreement
}

// agreementKey are the public keys of both sides.
type agreementKey struct{ own, peer string }

type agreement struct {
	z     secret.Bytes
	epoch uint64 // when it was used last
}

func newAgreements(limit int) *agreements {
	return &agreements{max: limit, byKey: make(map[agreementKey]*agreement)}
}

// of returns the secret of own and the peer's key; peerID is its keyID. The
// caller wipes it.
func (a *agreements) of(own *sender, peer *cose.Credential, peerID string) (secret.Bytes, error) {
	k := agreementKey{own.keyID, peerID}
	a.mu.Lock()
	if e := a.byKey[k]; e != nil {
		e.epoch = a.epoch
		z := e.z.Clone()
		a.mu.Unlock()
		return z, nil
	}
	a.mu.Unlock()
	z, err := own.agree(peer)
	if err != nil {
		return nil, err
	}
	a.keep(k, z.Clone())
	return z, nil
}

func (a *agreements) keep(k agreementKey, z secret.Bytes) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.max <= 0 {
		z.Wipe()
		return
	}
	for old := range a.byKey {
		if len(a.byKey) < a.max {
			break
		}
		a.drop(old) // any one: what is used will be back
	}
	a.byKey[k] = &agreement{z, a.epoch}
}

// drop deletes a secret; a.mu is held.
func (a *agreements) drop(k agreementKey) {
	a.byKey[k].z.Wipe()
	delete(a.byKey, k)
}

// next begins another Security Context: what the last one did not use goes.
func (a *agreements) next() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for k, e := range a.byKey {
		if e.epoch < a.epoch {
			a.drop(k)
		}
	}
	a.epoch++
}

// clear deletes all secrets.
func (a *agreements) clear() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for k := range a.byKey {
		a.drop(k)
	}
}

func (a *agreements) len() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.byKey)
}

// agree is the cofactor Diffie-Hellman secret of both key pairs (Section
// 2.5.1); Ed25519 keys are mapped to X25519 (Section 2.5.2.1).
func (s *sender) agree(peer *cose.Credential) (secret.Bytes, error) {
	z, err := s.priv.ECDH(peer.PublicKey())
	if err != nil {
		return nil, fmt.Errorf("%w: key agreement: %w", ErrBadCredential, err)
	}
	return z, nil
}
