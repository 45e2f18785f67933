package ace

// Keys of the registry CBOR Web Token (CWT) Claims (RFC 8392, Section 4; RFC 9200, Section 8.14).
const (
	claimIssuer    = 1  // iss, tstr
	claimSubject   = 2  // sub, tstr
	claimAudience  = 3  // aud, tstr / array of tstr
	claimExpires   = 4  // exp, numeric date
	claimNotBefore = 5  // nbf, numeric date
	claimIssuedAt  = 6  // iat, numeric date
	claimID        = 7  // cti, bstr
	claimCnf       = 8  // cnf, map
	claimScope     = 9  // scope, tstr / bstr
	claimProfile   = 38 // ace_profile, int
	claimCNonce    = 39 // cnonce, bstr
	claimExi       = 40 // exi, uint
)
