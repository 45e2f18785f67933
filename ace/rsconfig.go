package ace

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/cohort-iot/cohort/internal/clock"
	"github.com/cohort-iot/cohort/internal/ratelimit"
)

// TrustedAS is one Authorization Server whose tokens a Resource Server takes: its name and the keys it protects them with are
// one record, so that neither can be paired with the other of somebody else. Several records of one issuer, with different keys,
// serve while a key is replaced.
type TrustedAS struct {
	Issuer string    // the claim iss of its tokens; a token without that claim counts as of this issuer
	Key    TokenKey  // of its encrypted tokens; zero: it issues none
	Verify VerifyKey // of its signed tokens; zero: it issues none
	// Lenient takes tokens whose tags and unprotected headers are not as RFC 9770, Section 3 wants them, with one tag or none. It
	// is for an issuer whose list of revoked tokens is not used: the hash of such a token can be changed by anybody.
	Lenient bool
	// Introspect asks the issuer about each token before it is taken.
	Introspect bool
	// References takes tokens that cannot be opened here as references, which only introspection says anything about.
	References bool
}

// RSConfig configures a [ResourceServer].
type RSConfig struct {
	// Audience is the name of this Resource Server in the claim aud. Required.
	Audience string
	// Groups are names of audiences of several, of which this Resource Server is one.
	Groups []string
	// Issuers are the Authorization Servers it trusts; at least one, unless MayBeAlone.
	Issuers []TrustedAS
	// MayBeAlone admits that nobody is trusted yet: SetIssuers follows.
	MayBeAlone bool
	// AllocateID returns an OSCORE Recipient ID that no Security Context of the endpoint has, and another than avoid. The
	// identifier belongs to the pending association until Dropped or, once confirmed, to the association. Required.
	AllocateID func(avoid []byte) ([]byte, error)
	// Clock is required. One that was set back would make expired tokens valid again: see [clock.Steady].
	Clock clock.Clock
	// Rand is a cryptographic random source. Required.
	Rand io.Reader
	// Revoked says whether a token is on a revocation list (RFC 9770, Section 10). Nil: none is.
	Revoked func(TokenHash) bool
	// Seen is told of each authentic token that was presented and stored, or not taken because it is revoked (RFC 9770,
	// Section 11.1). One that was stored may have been revoked while the store worked: whoever ends revoked tokens has to look
	// again. It must not block. Nil: nobody is told.
	Seen func(SeenToken)
	// CNonces is the mechanism of client-nonces; nil: it is not used, and the claim cnonce plays no part.
	CNonces *ClientNonces
	// Exi keeps the tokens that expire by the claim exi; nil: such tokens are refused.
	Exi *ExiTable
	// NoClock is for a Resource Server whose clock is not that of its Authorization Servers: exp and nbf are not looked at, and
	// a token without exi is refused.
	NoClock bool
	// Introspector asks issuers about tokens; required for records with Introspect or References.
	Introspector Introspector
	// IntrospectLimits bounds the introspections that posts cause, for each source and in all; zero: 1 a second for each source
	// with bursts of 5, 20 in all with bursts of 50.
	IntrospectLimits ratelimit.Limits
	// IntrospectTimeout is how long a post waits for the issuer; default 10 s.
	IntrospectTimeout time.Duration
	// Describe adds to the answer what the Client asked to know of the groups its token is for. Nil: nothing is added.
	Describe func(ctx context.Context, t *Token, q *AuthzInfoRequest, p *AuthzInfoResponse) error
	// Dropped is told of each pending association that ends unconfirmed, so that its context is forgotten. It must not block
	// and must not call the ResourceServer. Nil: nobody is told.
	Dropped func(*Pending)
	// MaxPending bounds the pending associations; default 1024. Beyond it one of the token that has most makes room, or if each
	// has one, posts are answered 5.03.
	MaxPending int
	// MaxPendingPerToken bounds those of one token from one source, an IPv6 network of 64 bits or an IPv4 address; default 4.
	// Beyond it the oldest of them makes room. From all sources together it is 16 times as many.
	MaxPendingPerToken int
	// PendingLife is how long an association may stay pending; default 30 s.
	PendingLife time.Duration
	// Meter counts what becomes of tokens; nil: nothing is counted.
	Meter RSMeter
}

// RSMeter counts what becomes of tokens. Its methods must not block.
type RSMeter interface {
	TokenTaken()
	TokenRefused(Refusal)
}

// SeenToken is a token whose wrapper was verified.
type SeenToken struct {
	Hash    TokenHash
	Issuer  string
	Expires time.Time // zero: the token does not say
	Number  uint64    // of the claim cti, for a token with exi; 0: none
	Stored  bool      // it was taken; otherwise it is revoked
}

// Defaults of [RSConfig].
const (
	defaultMaxPending         = 1024             // some 1 KiB each: what a flood of replayed posts can take
	defaultMaxPendingPerToken = 4                // a Client that posts again did not get the answers before
	defaultPendingLife        = 30 * time.Second // the first request follows the answer at once
	defaultIntrospectTimeout  = 10 * time.Second // a Client retransmits for longer
)

func defaultIntrospectLimits() ratelimit.Limits {
	return ratelimit.Limits{PerKey: ratelimit.Rate{PerSecond: 1, Burst: 5}, Total: ratelimit.Rate{PerSecond: 20, Burst: 50}}
}

// Validate returns all faults of c, joined.
func (c RSConfig) Validate() error {
	var errs []error
	add := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf("ace: "+format, args...))
		}
	}
	add(c.Audience == "", "no audience")
	add(len(c.Issuers) == 0 && !c.MayBeAlone, "no trusted authorization server")
	for i, as := range c.Issuers {
		if err := as.Validate(); err != nil {
			errs = append(errs, fmt.Errorf("ace: authorization server %d: %w", i, err))
		}
		add((as.Introspect || as.References) && c.Introspector == nil, "authorization server %q: nothing to introspect with", as.Issuer)
	}
	add(c.AllocateID == nil, "no allocator of Recipient IDs")
	add(c.Clock == nil, "no clock")
	add(c.Rand == nil, "no random source")
	add(c.NoClock && c.Exi == nil, "without a clock the claim exi is needed")
	add(c.MaxPending < 0 || c.MaxPendingPerToken < 0 || c.PendingLife < 0 || c.IntrospectTimeout < 0, "negative limit")
	return errors.Join(append(errs, c.IntrospectLimits.Validate())...)
}

// Validate returns all faults of as, joined.
func (as TrustedAS) Validate() error {
	var errs []error
	add := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	add(as.Issuer == "", "no issuer name")
	p, ok := as.Key.Alg.AEAD()
	add(as.Key.Alg != 0 && !ok, "algorithm %d is no AEAD algorithm", int64(as.Key.Alg))
	add(ok && as.Key.Key.Len() != p.KeySize, "the key does not fit its algorithm")
	add(as.Verify.Alg != 0 && (!as.Verify.Alg.IsSignature() || as.Verify.Key == nil), "algorithm %d with no public key to verify with",
		int64(as.Verify.Alg))
	if as.Verify.Key != nil {
		_, err := as.Verify.Key.SignatureSize(as.Verify.Alg)
		add(err != nil, "the public key does not fit algorithm %d", int64(as.Verify.Alg))
	}
	add(as.Key.Alg == 0 && as.Verify.Alg == 0 && !as.References, "no key")
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
	if c.IntrospectTimeout == 0 {
		c.IntrospectTimeout = defaultIntrospectTimeout
	}
	if c.IntrospectLimits == (ratelimit.Limits{}) {
		c.IntrospectLimits = defaultIntrospectLimits()
	}
	if c.Revoked == nil {
		c.Revoked = func(TokenHash) bool { return false }
	}
	if c.Seen == nil {
		c.Seen = func(SeenToken) {}
	}
	if c.Describe == nil {
		c.Describe = func(context.Context, *Token, *AuthzInfoRequest, *AuthzInfoResponse) error { return nil }
	}
	if c.Dropped == nil {
		c.Dropped = func(*Pending) {}
	}
	if c.Meter == nil {
		c.Meter = noMeter{}
	}
	return c
}

type noMeter struct{}

func (noMeter) TokenTaken()          {}
func (noMeter) TokenRefused(Refusal) {}
