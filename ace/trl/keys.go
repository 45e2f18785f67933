package trl

// Keys of the registry ACE Token Revocation List Parameters (RFC 9770, Section 12).
const (
	keyFullSet = 0 // array of bstr
	keyDiffSet = 1 // array of [removed, added]
	keyCursor  = 2 // null / uint
	keyMore    = 3 // bool
)

// Keys of problem details (RFC 9290, Section 2), of the entry ace-trl-error (RFC 9770, Section 15.4) and of its fields
// (RFC 9770, Section 6.1).
const (
	problemTitle    = -1 // tstr
	problemDetail   = -2 // tstr
	problemTRLError = 1  // map
	errorID         = 0  // int
	errorCursor     = 1  // null / uint
)

// Names of the query parameters (RFC 9770, Section 6.3).
const (
	paramDiff   = "diff"
	paramCursor = "cursor"
)

// DefaultPath is the path of the resource when nothing else is said (RFC 9770, Section 6).
const DefaultPath = "/revoke/trl"
