package ace

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/secret"
)

// ErrToken is wrapped when an access token cannot be opened: it has another shape than this application's, names a key that is
// not known, or does not decrypt.
var ErrToken = errors.New("access token not acceptable")

// TokenKey is the symmetric key by which one Authorization Server protects tokens for one Resource Server. It serves nothing
// else, or each could pass for another (RFC 9203, Section 7).
type TokenKey struct {
	KID []byte         // key identifier, a hint for the look-up
	Alg cose.Algorithm // AEAD algorithm
	Key secret.Bytes
}

// tokenPrefix are the tags 61 (CWT) and 16 (COSE_Encrypt0) in their shortest encoding, which every token begins with
// (RFC 9770, Section 3).
const tokenPrefix = "\xd8\x3d\xd0"

// SealToken encrypts claims into an access token
//
//	61(16([<< {1: alg, 4: kid, 5: IV} >>, {}, ciphertext]))
//
// which has every header parameter protected, as the hash that names a token for revocation needs it (RFC 9770, Section 3).
// iv is the whole nonce of the algorithm and must never repeat with the key.
func SealToken(k TokenKey, iv []byte, c *Claims) ([]byte, error) {
	sealed, err := cose.SealEncrypt0(k.Alg, k.Key, k.KID, iv, nil, c.Marshal())
	if err != nil {
		return nil, fmt.Errorf("seal token: %w", err)
	}
	return append([]byte(tokenPrefix), sealed...), nil
}

// openToken opens a token of the shape [SealToken] makes, and only such, with the one of keys that fits. It returns the
// encoded claims and the index of the key. Errors wrap [ErrToken], and [ErrMalformed] if it is no token at all.
func openToken(token []byte, keys []TokenKey) (claims []byte, key int, err error) {
	body, ok := bytes.CutPrefix(token, []byte(tokenPrefix))
	if !ok {
		return nil, 0, fmt.Errorf("%w: not tagged as encrypted CWT", ErrToken)
	}
	m, err := cose.ParseEncrypt0(body)
	if err != nil {
		return nil, 0, fmt.Errorf("%w: %w", ErrToken, err)
	}
	if !m.UnprotectedEmpty {
		return nil, 0, fmt.Errorf("%w: unprotected header parameters", ErrToken)
	}
	for i, k := range keys {
		if !bytes.Equal(k.KID, m.KID) || k.Alg != m.Alg {
			continue
		}
		if claims, err = m.Open(k.Key, nil); err == nil {
			return claims, i, nil
		}
	}
	return nil, 0, fmt.Errorf("%w: no key opens it", ErrToken)
}

// OpenToken opens a token with one key and reads its claims, as a tool does that looks into a token. It judges none of them.
func OpenToken(token []byte, k TokenKey) (*Claims, error) {
	b, _, err := openToken(token, []TokenKey{k})
	if err != nil {
		return nil, err
	}
	return ParseClaims(b)
}
