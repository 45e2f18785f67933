package ace

import (
	"errors"
	"fmt"

	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/secret"
)

var (
	// ErrToken is wrapped when an access token cannot be opened: it has another shape than its issuer's, names a key that is not
	// known, or does not decrypt or verify.
	ErrToken = errors.New("access token not acceptable")
	// ErrSecretInClear is wrapped when a token that everybody can read is to hold, or holds, a secret key.
	ErrSecretInClear = errors.New("secret key in a token that is not encrypted")
)

// TokenKey is the symmetric key by which one Authorization Server protects tokens for one Resource Server. It serves nothing
// else, or each could pass for another (RFC 9203, Section 7).
type TokenKey struct {
	KID []byte         // key identifier, a hint for the look-up
	Alg cose.Algorithm // AEAD algorithm; 0: there is no such key
	Key secret.Hidden
}

// SigningKey is the key by which an Authorization Server signs tokens for Resource Servers of any number.
type SigningKey struct {
	KID []byte // key identifier, a hint for the look-up
	Alg cose.Algorithm
	Key *cose.PrivateKey
}

// VerifyKey is the public part of a [SigningKey].
type VerifyKey struct {
	KID []byte
	Alg cose.Algorithm // 0: there is no such key
	Key *cose.PublicKey
}

// Public returns what a Resource Server needs to verify tokens signed with k.
func (k SigningKey) Public() VerifyKey { return VerifyKey{KID: k.KID, Alg: k.Alg, Key: k.Key.Public()} }

// CBOR tags of tokens, each in its shortest encoding, which every token begins with (RFC 9770, Section 3): CWT around the COSE
// object, and the COSE object alone inside of another.
const (
	prefixEncrypted = "\xd8\x3d\xd0" // 61(16(…
	prefixSigned    = "\xd8\x3d\xd2" // 61(18(…
	prefixInner     = "\xd2"         // 18(…
)

// SealToken encrypts claims into an access token for one Resource Server
//
//	61(16([<< {1: alg, 4: kid, 5: IV} >>, {}, ciphertext]))
//
// which has every header parameter protected, as the hash that names a token for revocation needs it (RFC 9770, Section 3).
// iv is the whole nonce of the algorithm and must never repeat with the key.
func SealToken(k TokenKey, iv []byte, c *Claims) ([]byte, error) {
	return seal(k, iv, c.Marshal())
}

func seal(k TokenKey, iv, content []byte) ([]byte, error) {
	sealed, err := cose.SealEncrypt0(k.Alg, k.Key.Bytes(), k.KID, iv, nil, content)
	if err != nil {
		return nil, fmt.Errorf("seal token: %w", err)
	}
	return append([]byte(prefixEncrypted), sealed...), nil
}

// SignToken signs claims into an access token
//
//	61(18([<< {1: alg, 4: kid} >>, {}, claims, signature]))
//
// which serves an audience of several Resource Servers (RFC 9200, Section 6.1). An ECDSA signature has the lower of its two values
// of s, as the hash of a token has to be one. Everybody can read it: claims with a secret key
// wrap [ErrSecretInClear], unless that is encrypted by itself (RFC 8747, Section 3.3; [SealKey]).
func SignToken(k SigningKey, c *Claims) ([]byte, error) {
	if c.Cnf.secretInClear() {
		return nil, ErrSecretInClear
	}
	signed, err := sign(k, c)
	if err != nil {
		return nil, err
	}
	m, err := cose.ParseSign1(signed)
	if err != nil {
		return nil, fmt.Errorf("sign token: %w", err)
	}
	return strictSigned(m, true), nil
}

func sign(k SigningKey, c *Claims) ([]byte, error) {
	signed, err := cose.SealSign1(k.Alg, k.Key, k.KID, nil, c.Marshal())
	if err != nil {
		return nil, fmt.Errorf("sign token: %w", err)
	}
	return signed, nil
}

// SealSignedToken signs claims and encrypts the tagged result, a nested token (RFC 8392, Section 7.1): the Resource Server can
// prove to others who issued it, and nobody else can read it.
func SealSignedToken(k TokenKey, iv []byte, s SigningKey, c *Claims) ([]byte, error) {
	signed, err := sign(s, c)
	if err != nil {
		return nil, err
	}
	return seal(k, iv, append([]byte(prefixInner), signed...))
}

// OpenToken opens an encrypted token with one key and reads its claims, as a tool does that looks into a token. It judges none
// of them.
func OpenToken(token []byte, k TokenKey) (*Claims, error) {
	o, err := openToken(token, []TrustedAS{{Key: k}})
	if err != nil {
		return nil, err
	}
	return ParseClaims(o.claims)
}
