package ace

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
)

// ErrTokenHash is wrapped when a token hash cannot be read.
var ErrTokenHash = errors.New("no token hash")

// TokenHash names a token without giving it away: a suite number, 1 for SHA-256, and the digest (RFC 9770, Section 4;
// RFC 6920, Section 6).
type TokenHash [1 + sha256.Size]byte

// sha256Suite is the number of full SHA-256 in the Named Information Hash Algorithm registry.
const sha256Suite = 1

// HashToken returns the hash of a token that travels in CBOR: of its base64url form without padding (RFC 9770, Section 4.2.1).
func HashToken(token []byte) TokenHash {
	text := make([]byte, base64.RawURLEncoding.EncodedLen(len(token)))
	base64.RawURLEncoding.Encode(text, token)
	return hashInput(text)
}

// HashTokenText returns the hash of a token that travels in JSON: of the text as it is (RFC 9770, Section 4.2.2). For the
// base64url form of a CWT it is that of [HashToken] for the CWT.
func HashTokenText(text string) TokenHash { return hashInput([]byte(text)) }

func hashInput(b []byte) (h TokenHash) {
	sum := sha256.Sum256(b)
	h[0] = sha256Suite
	copy(h[1:], sum[:])
	return h
}

// String returns the hash in hexadecimal.
func (h TokenHash) String() string { return hex.EncodeToString(h[:]) }

// TokenHashFromBytes reads a hash as it stands in a Token Revocation List. Of the functions in the registry this module knows
// SHA-256. Errors wrap [ErrTokenHash].
func TokenHashFromBytes(b []byte) (h TokenHash, err error) {
	if len(b) != len(h) || b[0] != sha256Suite {
		return h, fmt.Errorf("%w: %d bytes", ErrTokenHash, len(b))
	}
	return TokenHash(b), nil
}

// ParseTokenHash reads what [TokenHash.String] wrote. Errors wrap [ErrTokenHash].
func ParseTokenHash(s string) (TokenHash, error) {
	b, err := hex.DecodeString(s)
	if err != nil {
		return TokenHash{}, fmt.Errorf("%w: %w", ErrTokenHash, err)
	}
	return TokenHashFromBytes(b)
}
