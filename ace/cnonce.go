package ace

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"time"

	"github.com/cohort-iot/cohort/internal/clock"
	"github.com/cohort-iot/cohort/internal/secret"
)

// ClientNonces makes the client-nonces that a Resource Server gives in its hints, and knows them again when they come back in a
// token (RFC 9200, Section 5.3.1): by it the Resource Server knows that a token was issued a short while ago, whatever the time
// is. It keeps nothing for each: a value is a time and a random part with a MAC over both, under a key of this process. It is safe
// for concurrent use.
type ClientNonces struct {
	key   secret.Hidden
	begun time.Time
	life  time.Duration
	clock clock.Clock
	rand  io.Reader
}

// Sizes of a client-nonce, in bytes: seconds since the process began, random part, MAC.
const (
	cnonceTime   = 4
	cnonceRandom = 4
	cnonceMAC    = 8
	cnonceSize   = cnonceTime + cnonceRandom + cnonceMAC
)

// DefaultCNonceLife is how long a client-nonce is fresh when nothing else is said: about as long as it takes to get a token.
const DefaultCNonceLife = 5 * time.Minute

// NewClientNonces returns the mechanism with a random key. A value is fresh for life, 0 stands for [DefaultCNonceLife].
func NewClientNonces(c clock.Clock, random io.Reader, life time.Duration) (*ClientNonces, error) {
	if life == 0 {
		life = DefaultCNonceLife
	}
	if c == nil || random == nil || life < time.Second {
		return nil, fmt.Errorf("ace: client-nonces need a clock, a random source and a life of a second at least")
	}
	key := make([]byte, sha256.Size)
	if _, err := io.ReadFull(random, key); err != nil {
		return nil, fmt.Errorf("ace: random source: %w", err)
	}
	return &ClientNonces{key: secret.Hide(key), begun: c.Now(), life: life, clock: c, rand: random}, nil
}

// New returns a fresh value.
func (n *ClientNonces) New() ([]byte, error) {
	b := make([]byte, cnonceTime+cnonceRandom, cnonceSize)
	binary.BigEndian.PutUint32(b, uint32(n.clock.Now().Sub(n.begun)/time.Second))
	if _, err := io.ReadFull(n.rand, b[cnonceTime:]); err != nil {
		return nil, fmt.Errorf("ace: random source: %w", err)
	}
	return append(b, n.mac(b)...), nil
}

// Fresh says whether a value is one that New gave out not longer ago than its life.
func (n *ClientNonces) Fresh(value []byte) bool {
	if len(value) != cnonceSize || !hmac.Equal(value[cnonceTime+cnonceRandom:], n.mac(value[:cnonceTime+cnonceRandom])) {
		return false
	}
	made := n.begun.Add(time.Duration(binary.BigEndian.Uint32(value)) * time.Second)
	age := n.clock.Now().Sub(made)
	return age >= 0 && age <= n.life
}

func (n *ClientNonces) mac(b []byte) []byte {
	h := hmac.New(sha256.New, n.key.Bytes())
	h.Write(b)
	return h.Sum(nil)[:cnonceMAC]
}

// Format writes what the value is, whatever the verb.
func (n *ClientNonces) Format(f fmt.State, _ rune) { fmt.Fprint(f, "ace.ClientNonces") }
