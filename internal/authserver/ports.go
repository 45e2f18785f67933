package authserver

import (
	"context"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/keystore"
)

// Store is the durable state. *keystore.Store implements it.
type Store interface {
	View(fn func(r keystore.Reader) error) error
	Update(ctx context.Context, fn func(tx *keystore.Tx) error) error
	Index(domain string, text []byte) uint64
}

// Events tells others what they must act upon at once. Its methods must not block nor call the Service.
type Events interface {
	// SecretInUseTwice: the enrolment secret of a client was used by a second device. It is told once for each such context.
	SecretInUseTwice(client string)
	// TokenRevoked: a token is no longer valid, before its time. It is told after that is durable.
	TokenRevoked(hash ace.TokenHash)
}

type noEvents struct{}

func (noEvents) SecretInUseTwice(string)    {}
func (noEvents) TokenRevoked(ace.TokenHash) {}
