package cose

import (
	"bytes"
	"fmt"
	"time"

	"github.com/cohort-iot/cohort/internal/cborx"
)

// Credential is an authentication credential: a public key and the bytes in which it
// was delivered, which enter key derivations and external_aad and are therefore
// never encoded anew (draft-ietf-core-oscore-groupcomm-28, Section 2.4). It is
// immutable and safe for concurrent use.
//
// A credential says what its maker says. Nothing here verifies an issuer's signature,
// a chain or a time of validity: members trust the Group Manager for the credentials
// of others, and whoever admits a member decides what else to ask for.
type Credential struct {
	format              CredentialFormat
	raw                 []byte
	pub                 *PublicKey
	subject             string
	notBefore, notAfter time.Time // zero: no bound
}

// ParseCredential parses a credential of the given format as it is delivered. What
// Bytes returns then, and what Group OSCORE uses, is
//
//   - CCS, a CWT Claims Set: the map without the CBOR tag that may be around it;
//   - CWT: the COSE_Sign1 array without the tags that may be around it;
//   - X.509, whether called chain or bag: the DER of the end entity's certificate. It
//     may be delivered as it is, or as COSE_X509, a byte string or an array of
//     several (RFC 9360, Section 2);
//   - C509, likewise: the CBOR array of the end entity's certificate, delivered as it
//     is or as COSE_C509 (draft-ietf-cose-cbor-encoded-cert-20, Section 3.4).
//
// The end entity comes first in a chain. In a bag of several it is the only
// certificate that is not of a certification authority; a bag without exactly one is
// refused. Whatever is there besides, such as claims and extensions, is allowed.
//
// Errors: ErrCredentialFormat; ErrCredential, which for a bad key wraps ErrKey or
// ErrUnsupportedKey.
func ParseCredential(f CredentialFormat, raw []byte) (*Credential, error) {
	c := &Credential{format: f}
	var parse func([]byte) error
	switch f {
	case FormatCCS:
		parse = c.parseCCS
	case FormatCWT:
		parse = c.parseCWT
	case FormatX5Chain, FormatX5Bag:
		parse = c.parseX509
	case FormatC509Chain, FormatC509Bag:
		parse = c.parseC509
	default:
		return nil, fmt.Errorf("%w: %v", ErrCredentialFormat, f)
	}
	if len(raw) > maxCredential {
		return nil, fmt.Errorf("%w: %d bytes", ErrCredential, len(raw))
	}
	if err := parse(raw); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCredential, err)
	}
	c.raw = bytes.Clone(c.raw)
	return c, nil
}

// Bytes returns the credential as it enters derivations, as a copy.
func (c *Credential) Bytes() []byte { return bytes.Clone(c.raw) }

// AppendTo appends to dst what Bytes returns.
func (c *Credential) AppendTo(dst []byte) []byte { return append(dst, c.raw...) }

// Len returns the length of what Bytes returns.
func (c *Credential) Len() int { return len(c.raw) }

// PublicKey returns the public key that the credential is about.
func (c *Credential) PublicKey() *PublicKey { return c.pub }

// Format returns the format.
func (c *Credential) Format() CredentialFormat { return c.format }

// Subject returns the sub claim of a CCS or CWT, the common name of a certificate;
// empty if there is none. It is what the maker of the credential says, and nothing
// has verified it.
func (c *Credential) Subject() string { return c.subject }

// Validity returns from when until when the credential says it is valid, both
// included: the claims nbf and exp, the latter less one second, or the times of a
// certificate. A zero time is no bound.
func (c *Credential) Validity() (notBefore, notAfter time.Time) { return c.notBefore, c.notAfter }

// Claim returns the value of a claim of a CCS or CWT as encoded CBOR, nil if it is
// not there or the credential is a certificate. Claims with a text as key are not
// reached.
func (c *Credential) Claim(key int64) []byte {
	var claims []byte
	switch c.format {
	case FormatCCS:
		claims = c.raw
	case FormatCWT:
		s, _, err := parseSign1(c.raw)
		if err != nil {
			return nil
		}
		claims = s.Payload
	default:
		return nil
	}
	m, err := parseMap(claims)
	if err != nil {
		return nil
	}
	return bytes.Clone(m[key])
}

// Equal reports whether both have the same format and the same bytes.
func (c *Credential) Equal(o *Credential) bool {
	return c != nil && o != nil && c.format == o.format && bytes.Equal(c.raw, o.raw)
}

// unwrapCOSE returns the byte strings of a COSE_X509 or COSE_C509: one, or an array
// of at least two.
func unwrapCOSE(raw []byte) ([][]byte, error) {
	if one, err := cborx.Bytes(raw); err == nil {
		return [][]byte{one}, nil
	}
	items, err := parseArray(raw)
	if err != nil {
		return nil, err
	}
	if len(items) < 2 || len(items) > maxChain {
		return nil, fmt.Errorf("%w: array of %d certificates", cborx.ErrMalformed, len(items))
	}
	certs := make([][]byte, len(items))
	for i, item := range items {
		if certs[i], err = cborx.Bytes(item); err != nil {
			return nil, err
		}
	}
	return certs, nil
}

// endEntity returns the index of the only certificate in a bag that is not of a
// certification authority. A certificate that is there twice counts once.
func endEntity(certs [][]byte, isCA func(i int) (bool, error)) (int, error) {
	found := -1
	for i := range certs {
		ca, err := isCA(i)
		if err != nil {
			return 0, err
		}
		if ca || found >= 0 && bytes.Equal(certs[i], certs[found]) {
			continue
		}
		if found >= 0 {
			return 0, fmt.Errorf("%w: bag with more than one end entity", cborx.ErrMalformed)
		}
		found = i
	}
	if found < 0 {
		return 0, fmt.Errorf("%w: bag without end entity", cborx.ErrMalformed)
	}
	return found, nil
}
