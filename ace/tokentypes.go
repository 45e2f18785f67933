package ace

// Values of the registry OAuth Access Token Types CBOR Mappings (RFC 9200, Section 8.7). A response without token_type is of
// type PoP.
const (
	tokenTypeBearer = 1
	tokenTypePoP    = 2
)
