package cose

import (
	"bytes"
	"fmt"

	"github.com/cohort-iot/cohort/internal/cborx"
)

// Credential is an authentication credential: a public key and the bytes in which it
// was delivered, which enter key derivations and external_aad and are therefore
// never encoded anew (draft-ietf-core-oscore-groupcomm-28, Section 2.4). It is
// immutable and safe for concurrent use.
type Credential struct {
	format  CredentialFormat
	raw     []byte
	pub     *PublicKey
	subject string
}

// ParseCredential parses a credential of the given format. An outer CBOR tag is
// stripped, as the draft says; everything else is kept as it came.
//
// The only format so far is CCS, an unprotected CWT Claims Set: a map whose claim
// cnf holds one COSE_Key. Other claims are allowed and not looked at, but for sub.
//
// Errors: ErrCredentialFormat; ErrCredential, which for a bad key wraps ErrKey or
// ErrUnsupportedKey.
func ParseCredential(f CredentialFormat, raw []byte) (*Credential, error) {
	if f != FormatCCS {
		return nil, fmt.Errorf("%w: %v", ErrCredentialFormat, f)
	}
	if tag, content, ok := cborx.CutTag(raw); ok {
		if tag != tagUCCS && tag != tagCWT {
			return nil, fmt.Errorf("%w: tag %d", ErrCredential, tag)
		}
		raw = content
	}
	c := &Credential{format: f, raw: bytes.Clone(raw)}
	if err := c.parseCCS(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCredential, err)
	}
	return c, nil
}

func (c *Credential) parseCCS() error {
	claims, err := parseMap(c.raw)
	if err != nil {
		return err
	}
	if item, ok := claims[int64(claimSub)]; ok {
		if c.subject, err = cborx.Text(item); err != nil {
			return fmt.Errorf("sub: %w", err)
		}
	}
	cnf, err := parseMap(claims[int64(claimCnf)])
	if err != nil {
		return fmt.Errorf("cnf: %w", err)
	}
	key, ok := cnf[int64(cnfLabelCOSEKey)]
	if !ok || len(cnf) != 1 {
		return fmt.Errorf("%w: cnf does not hold exactly one COSE_Key", cborx.ErrMalformed)
	}
	c.pub, err = ParsePublicKey(key)
	return err
}

// NewCCS makes a CWT Claims Set with the given subject, which may be empty, and key:
// {2: subject, 8: {1: COSE_Key}}.
//
// Errors: ErrCredential if the subject is not UTF-8 or there is no key.
func NewCCS(subject string, pub *PublicKey) (*Credential, error) {
	if pub == nil {
		return nil, fmt.Errorf("%w: no public key", ErrCredential)
	}
	var raw []byte
	if subject == "" {
		raw = cborx.AppendMap(nil, 1)
	} else {
		raw = cborx.AppendMap(nil, 2)
		raw = cborx.AppendText(cborx.AppendUint(raw, claimSub), subject)
	}
	raw = cborx.AppendMap(cborx.AppendUint(raw, claimCnf), 1)
	raw = pub.append(cborx.AppendUint(raw, cnfLabelCOSEKey))
	return ParseCredential(FormatCCS, raw)
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

// Subject returns the sub claim; empty if there is none. It is what the maker of the
// credential says, and nothing has verified it.
func (c *Credential) Subject() string { return c.subject }

// Equal reports whether both have the same format and the same bytes.
func (c *Credential) Equal(o *Credential) bool {
	return c != nil && o != nil && c.format == o.format && bytes.Equal(c.raw, o.raw)
}
