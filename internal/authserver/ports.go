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
	// SecretInUseTwice: the enrolment secret of a client or resource server was used by a second one. It is told once for each
	// such context.
	SecretInUseTwice(name string)
	// TokenRevoked: a token is no longer valid, before its time. It is told after that is durable, and again after a restart.
	TokenRevoked(hash ace.TokenHash)
}

type noEvents struct{}

func (noEvents) SecretInUseTwice(string)    {}
func (noEvents) TokenRevoked(ace.TokenHash) {}

// Meter receives figures. Its methods must not block.
type Meter interface {
	TokenIssued(audience string)
	// TokenRefused: 0 stands for one that asked too often.
	TokenRefused(code ace.ErrorCode)
	Introspected(active bool)
	ListQueried(diff bool)
}

type noMeter struct{}

func (noMeter) TokenIssued(string)         {}
func (noMeter) TokenRefused(ace.ErrorCode) {}
func (noMeter) Introspected(bool)          {}
func (noMeter) ListQueried(bool)           {}
