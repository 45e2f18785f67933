package ace

// Keys of the registry OAuth Token Introspection Response CBOR Mappings (RFC 9200, Section 8.12), apart from those that are
// the keys of the claims: iss, sub, aud, exp, nbf, iat, cti, cnf, scope, ace_profile, cnonce and exi.
const (
	introActive        = 10 // bool
	introToken         = 11 // bstr, of the request
	introClientID      = 24 // tstr
	introTokenTypeHint = 33 // tstr, of the request; an integer in an example of the text
	introTokenType     = 34 // int
	introUsername      = 35 // tstr
)
