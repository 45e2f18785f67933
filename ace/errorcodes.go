package ace

import "strconv"

// ErrorCode is a value of the registry OAuth Error Code CBOR Mappings (RFC 9200, Section 8.4). 0 stands for none.
type ErrorCode int64

// Registered error codes.
const (
	InvalidRequest          ErrorCode = 1
	InvalidClient           ErrorCode = 2
	InvalidGrant            ErrorCode = 3
	UnauthorizedClient      ErrorCode = 4
	UnsupportedGrantType    ErrorCode = 5
	InvalidScope            ErrorCode = 6
	UnsupportedPoPKey       ErrorCode = 7
	IncompatibleACEProfiles ErrorCode = 8
)

var errorCodeNames = [...]string{
	InvalidRequest:          "invalid_request",
	InvalidClient:           "invalid_client",
	InvalidGrant:            "invalid_grant",
	UnauthorizedClient:      "unauthorized_client",
	UnsupportedGrantType:    "unsupported_grant_type",
	InvalidScope:            "invalid_scope",
	UnsupportedPoPKey:       "unsupported_pop_key",
	IncompatibleACEProfiles: "incompatible_ace_profiles",
}

// String returns the name of the code, or its number.
func (c ErrorCode) String() string {
	if c > 0 && int(c) < len(errorCodeNames) {
		return errorCodeNames[c]
	}
	return "error " + strconv.FormatInt(int64(c), 10)
}
