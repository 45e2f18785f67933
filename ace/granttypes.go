package ace

// GrantType is a value of the registry OAuth Grant Type CBOR Mappings (RFC 9200, Section 8.5).
type GrantType uint64

// Registered grant types. A token request that has none is of type client credentials, the only one this module serves.
const (
	GrantPassword          GrantType = 0
	GrantAuthorizationCode GrantType = 1
	GrantClientCredentials GrantType = 2
	GrantRefreshToken      GrantType = 3
)
