package authserver

import (
	"time"

	"github.com/cohort-iot/cohort/internal/ratelimit"
)

// Local limits.
const (
	maxName           = 64                   // bytes of a device's name or an audience: it stands in tokens and lists
	maxGrants         = 256                  // of one client: as many entries as a scope may have
	maxPolicies       = 64                   // each is looked at for each token
	maxTokenLifetime  = 366 * 24 * time.Hour // a token outlives no yearly review; longer ones would swell the list of revoked ones
	minTokenLifetime  = time.Minute          // shorter ones would expire before they are used
	maxRSKeys         = 8                    // token keys of one resource server
	maxOverlap        = 30 * 24 * time.Hour  // how long a new key may wait until it seals
	maxAdministrators = 4                    // each gets an update of the list in each transaction that changes it
	maxMembers        = 8                    // of an audience of several, for the same reason
	maxUpdates        = 1024                 // of the list, kept for each requester
	sweepBatch        = 12                   // expired tokens in one transaction: up to 5 records each

	// updateBudget bounds the records of one transaction that changes the list of revoked tokens, below the store's limit of 64.
	updateBudget = 60
)

// DefaultTokenLifetime is the lifetime of tokens when a resource server does not set one. A device asks for a new one before.
const DefaultTokenLifetime = 24 * time.Hour

const (
	secretSize = 16 // bytes of a Master Secret, those of a key of the default algorithm (RFC 8613, Section 3.2)
	saltSize   = 8  // bytes of a Master Salt
	ctiRandom  = 8  // random bytes of a cti
)

// A device asks for a few tokens at its start, and then once in their lifetime.
func defaultTokenLimits() ratelimit.Limits {
	return ratelimit.Limits{PerKey: ratelimit.Rate{PerSecond: 1, Burst: 20}, Keys: maxLimited}
}

// A resource server asks about the tokens that are posted to it.
func defaultQueryLimits() ratelimit.Limits {
	return ratelimit.Limits{PerKey: ratelimit.Rate{PerSecond: 20, Burst: 100}, Keys: maxLimited}
}

// maxLimited is how many peers are told apart at once; all have authenticated themselves.
const maxLimited = 16384
