package grouposcore

import (
	"bytes"
	"sync"

	"github.com/cohort-iot/cohort/cose"
)

// CredentialSource looks up the authentication credential of a member. It is
// called while a message is being processed: it must not wait, fetch or call
// back. ErrNoCredential says that the credential is not known; then no
// Recipient Context is created and the message is not processed (Sections 7.2
// and 7.4). The owner may fetch the credential and try the message again.
type CredentialSource interface {
	Credential(gid, senderID []byte) (*cose.Credential, error)
}

// StaticCredentials is a CredentialSource filled by hand. It ignores the Gid:
// one value serves a group over its rekeys. The zero value is empty and ready.
type StaticCredentials struct {
	mu   sync.RWMutex
	byID map[string]*cose.Credential
}

// Set stores the credential of a Sender ID; nil removes it.
func (s *StaticCredentials) Set(senderID []byte, c *cose.Credential) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c == nil {
		delete(s.byID, string(senderID))
		return
	}
	if s.byID == nil {
		s.byID = make(map[string]*cose.Credential)
	}
	s.byID[string(senderID)] = c
}

// Credential implements CredentialSource.
func (s *StaticCredentials) Credential(_, senderID []byte) (*cose.Credential, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if c := s.byID[string(senderID)]; c != nil {
		return c, nil
	}
	return nil, ErrNoCredential
}

// sameKey reports whether two credentials carry the same public key, which is
// what tells one member from another (Sections 2.6.3 and 7.4).
func sameKey(a, b *cose.Credential) bool {
	return a == b || a.PublicKey().Equal(b.PublicKey())
}

// keyID gives a public key as a map key.
func keyID(c *cose.Credential) string {
	k := c.PublicKey()
	return string(bytes.Join([][]byte{{byte(k.Curve())}, k.X(), k.Y()}, nil))
}
