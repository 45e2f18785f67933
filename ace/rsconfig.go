package ace

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/cohort-iot/cohort/internal/clock"
)

// TrustedAS is one Authorization Server whose tokens a Resource Server takes: its name and the key it protects them with are
// one record, so that neither can be paired with the other of somebody else.
type TrustedAS struct {
	Issuer string // the claim iss of its tokens; a token without that claim counts as of this issuer
	Key    TokenKey
}

// RSConfig configures a [ResourceServer].
type RSConfig struct {
	// Audience is the name of this Resource Server in the claim aud. Required.
	Audience string
	// Issuers are the Authorization Servers that may issue tokens for it. At least one is required; two of one issuer, with
	// different keys, serve while a key is replaced.
	Issuers []TrustedAS
	// AllocateID returns an OSCORE Recipient ID that no Security Context of the endpoint has, and another than avoid. The
	// identifier belongs to the pending association until Dropped or, once confirmed, to the association. Required.
	AllocateID func(avoid []byte) ([]byte, error)
	// Clock is required.
	Clock clock.Clock
	// Rand is a cryptographic random source. Required.
	Rand io.Reader
	// Revoked says whether a token is on a revocation list (RFC 9770, Section 10). Nil: none is.
	Revoked func(TokenHash) bool
	// Describe adds to the answer what the Client asked to know of the groups its token is for. Nil: nothing is added.
	Describe func(ctx context.Context, t *Token, q *AuthzInfoRequest, p *AuthzInfoResponse) error
	// Dropped is told of each pending association that ends unconfirmed, so that its context is forgotten. It must not block
	// and must not call the ResourceServer. Nil: nobody is told.
	Dropped func(*Pending)
	// MaxPending bounds the pending associations; default 1024. Beyond it posts are answered 5.03.
	MaxPending int
	// MaxPendingPerToken bounds those of one token; default 4. Beyond it the oldest of them makes room.
	MaxPendingPerToken int
	// PendingLife is how long an association may stay pending; default 30 s.
	PendingLife time.Duration
}

// Defaults of [RSConfig].
const (
	defaultMaxPending         = 1024             // some 1 KiB each: what a flood of replayed posts can take
	defaultMaxPendingPerToken = 4                // a Client that posts again did not get the answers before
	defaultPendingLife        = 30 * time.Second // the first request follows the answer at once
)

// Validate returns all faults of c, joined.
func (c RSConfig) Validate() error {
	var errs []error
	add := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf("ace: "+format, args...))
		}
	}
	add(c.Audience == "", "no audience")
	add(len(c.Issuers) == 0, "no trusted authorization server")
	for i, as := range c.Issuers {
		p, ok := as.Key.Alg.AEAD()
		add(as.Issuer == "", "authorization server %d has no issuer name", i)
		add(!ok, "authorization server %q: algorithm %d is no AEAD algorithm", as.Issuer, int64(as.Key.Alg))
		add(ok && len(as.Key.Key) != p.KeySize, "authorization server %q: the key does not fit its algorithm", as.Issuer)
	}
	add(c.AllocateID == nil, "no allocator of Recipient IDs")
	add(c.Clock == nil, "no clock")
	add(c.Rand == nil, "no random source")
	add(c.MaxPending < 0 || c.MaxPendingPerToken < 0 || c.PendingLife < 0, "negative limit")
	return errors.Join(errs...)
}

func (c RSConfig) withDefaults() RSConfig {
	if c.MaxPending == 0 {
		c.MaxPending = defaultMaxPending
	}
	if c.MaxPendingPerToken == 0 {
		c.MaxPendingPerToken = defaultMaxPendingPerToken
	}
	if c.PendingLife == 0 {
		c.PendingLife = defaultPendingLife
	}
	if c.Revoked == nil {
		c.Revoked = func(TokenHash) bool { return false }
	}
	if c.Describe == nil {
		c.Describe = func(context.Context, *Token, *AuthzInfoRequest, *AuthzInfoResponse) error { return nil }
	}
	if c.Dropped == nil {
		c.Dropped = func(*Pending) {}
	}
	return c
}
