package keystore

// Limits, each with its reason.
const (
	// MaxEffectRecords bounds the records one function may write, audit records included: an effect that grows with the
	// number of members is an intent and its steps, not one transaction.
	MaxEffectRecords = 64
	// MaxEffectBytes bounds names, values and audit records of one function, in bytes.
	MaxEffectBytes = 256 << 10
	// MaxValue bounds one value or audit record, in bytes. It leaves room for several in one effect.
	MaxValue = 128 << 10
	// MaxScanInUpdate bounds the records that one function passed to Update may visit, as others wait for it.
	MaxScanInUpdate = 4096

	maxKind = 32 // bytes of a record kind
	maxIDs  = 6  // numbers in a record name

	maxGroupEffects = 1024    // functions in one commit
	maxGroupBytes   = 4 << 20 // bytes in one commit; a single effect always fits
	maxPrune        = 1000    // audit records removed by one commit

	anchorEvery = 64 // commits between two writes of the anchor, unless Options say otherwise
)
