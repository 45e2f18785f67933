package ace

// Keys of the AS Request Creation Hints (RFC 9200, Section 5.3).
const (
	hintAS       = 1  // tstr, absolute URI
	hintKID      = 2  // bstr
	hintAudience = 5  // tstr
	hintScope    = 9  // tstr / bstr
	hintCNonce   = 39 // bstr
)
