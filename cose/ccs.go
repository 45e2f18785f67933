package cose

import (
	"fmt"
	"math"
	"time"

	"github.com/cohort-iot/cohort/internal/cborx"
)

// parseCCS parses an unprotected CWT Claims Set: a map whose claim cnf holds one
// COSE_Key.
func (c *Credential) parseCCS(raw []byte) error {
	if tag, content, ok := cborx.CutTag(raw); ok {
		if tag != tagUCCS && tag != tagCWT {
			return fmt.Errorf("%w: tag %d", cborx.ErrMalformed, tag)
		}
		raw = content
	}
	c.raw = raw
	return c.parseClaims(raw)
}

// parseClaims reads the claims in use from a CWT Claims Set (RFC 8392, Section 3.1;
// RFC 8747, Section 3.1). Others are not looked at.
func (c *Credential) parseClaims(set []byte) error {
	claims, err := parseMap(set)
	if err != nil {
		return err
	}
	if item, ok := claims[int64(claimSub)]; ok {
		if c.subject, err = cborx.Text(item); err != nil {
			return fmt.Errorf("sub: %w", err)
		}
	}
	if item, ok := claims[int64(claimNbf)]; ok {
		if c.notBefore, err = numericDate(item); err != nil {
			return fmt.Errorf("nbf: %w", err)
		}
	}
	if item, ok := claims[int64(claimExp)]; ok {
		end, err := numericDate(item)
		if err != nil {
			return fmt.Errorf("exp: %w", err)
		}
		c.notAfter = end.Add(-time.Second) // on or after exp it is not valid
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

// numericDate reads a NumericDate, seconds since 1970 as an integer or a floating
// point number (RFC 8392, Section 2), whose fraction is dropped.
func numericDate(item []byte) (time.Time, error) {
	seconds, err := cborx.Int(item)
	if err != nil {
		const majorFloat = 7
		var f float64
		if len(item) < 3 || item[0]>>5 != majorFloat || cborx.Unmarshal(item, &f) != nil || !(math.Abs(f) <= maxTime) {
			return time.Time{}, fmt.Errorf("%w: not a time", cborx.ErrMalformed)
		}
		seconds = int64(f)
	}
	if seconds < -maxTime || seconds > maxTime {
		return time.Time{}, fmt.Errorf("%w: time out of range", cborx.ErrMalformed)
	}
	return time.Unix(seconds, 0).UTC(), nil
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
