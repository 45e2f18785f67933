package authserver

import "time"

// Local limits.
const (
	maxName          = 64                   // bytes of a device's name or an audience: it stands in tokens and lists
	maxGrants        = 256                  // of one client: as many entries as a scope may have
	maxTokenLifetime = 366 * 24 * time.Hour // a token outlives no yearly review
	minTokenLifetime = time.Minute          // shorter ones would expire before they are used
	maxRSKeys        = 4                    // token keys of one resource server that are kept for opening
	revokeBatch      = 16                   // tokens in one transaction: 3 records each, below the store's limit
	sweepBatch       = 12                   // expired tokens in one transaction: up to 5 records each
)

// DefaultTokenLifetime is the lifetime of tokens when a resource server does not set one. A device asks for a new one before.
const DefaultTokenLifetime = 24 * time.Hour

const (
	secretSize = 16 // bytes of a Master Secret, those of a key of the default algorithm (RFC 8613, Section 3.2)
	saltSize   = 8  // bytes of a Master Salt
	ctiRandom  = 8  // random bytes of a cti
)
