package ace

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
)

// TokenHash names a token without giving it away: a suite number, 1 for SHA-256, and the digest (RFC 9770, Section 4;
// RFC 6920, Section 6).
type TokenHash [1 + sha256.Size]byte

// sha256Suite is the number of full SHA-256 in the Named Information Hash Algorithm registry.
const sha256Suite = 1

// HashToken returns the hash of a token that travels in CBOR: of its base64url form without padding.
func HashToken(token []byte) TokenHash {
	var h TokenHash
	text := make([]byte, base64.RawURLEncoding.EncodedLen(len(token)))
	base64.RawURLEncoding.Encode(text, token)
	sum := sha256.Sum256(text)
	h[0] = sha256Suite
	copy(h[1:], sum[:])
	return h
}

// String returns the hash in hexadecimal.
func (h TokenHash) String() string { return hex.EncodeToString(h[:]) }
