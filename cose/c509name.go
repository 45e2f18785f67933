package cose

import (
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/cohort-iot/cohort/internal/cborx"
)

// rdnCommonName is the attribute commonName in the registry "C509 RDN Attributes"
// (draft-ietf-cose-cbor-encoded-cert-20, Section 8.6).
const rdnCommonName = 1

// parseNames checks issuer and subject and keeps the subject's common name. An issuer
// that is the subject is null (Section 3.1.4 of the draft).
func (c *c509) parseNames(issuer, subject []byte) (err error) {
	if !cborx.IsNull(issuer) {
		if string(issuer) == string(subject) {
			return fmt.Errorf("%w: issuer is the subject and not null", cborx.ErrMalformed)
		}
		if _, err := c.commonName(issuer); err != nil {
			return fmt.Errorf("issuer: %w", err)
		}
	}
	if c.subject, err = c.commonName(subject); err != nil {
		return fmt.Errorf("subject: %w", err)
	}
	return nil
}

// commonName checks a Name and returns its common name, empty if there is none: the
// whole name if it is one value, or the first attribute of that type.
func (c *c509) commonName(item []byte) (string, error) {
	if name, err := specialText(item); err == nil {
		return name, nil
	}
	items, err := parseArray(item)
	if err != nil || len(items)%2 != 0 {
		return "", fmt.Errorf("%w: not a name", cborx.ErrMalformed)
	}
	name, found := "", false
	for i := 0; i < len(items); i += 2 {
		if oid, err := cborx.Bytes(items[i]); err == nil {
			if err := checkOID(oid); err != nil {
				return "", err
			}
			if _, err := cborx.Bytes(items[i+1]); err != nil {
				return "", err
			}
			continue
		}
		kind, err := cborx.Int(items[i])
		if err != nil {
			return "", fmt.Errorf("attribute type: %w", err)
		}
		if c.native && kind < 0 {
			return "", fmt.Errorf("%w: negative attribute type in a native certificate", cborx.ErrMalformed)
		}
		value, err := specialText(items[i+1])
		if err != nil {
			return "", fmt.Errorf("attribute %d: %w", kind, err)
		}
		if !found && (kind == rdnCommonName || kind == -rdnCommonName) {
			name, found = value, true
		}
	}
	return name, nil
}

// specialText returns the text that a SpecialText stands for: text, bytes for
// lower-case hexadecimal digits, or a MAC address in tag 48, of 6 bytes for an EUI-64
// made from 48 bits and of 8 for any other.
func specialText(item []byte) (string, error) {
	if s, err := cborx.Text(item); err == nil {
		return s, nil
	}
	if b, err := cborx.Bytes(item); err == nil && len(b) > 0 {
		return hex.EncodeToString(b), nil
	}
	tag, content, ok := cborx.CutTag(item)
	mac, err := cborx.Bytes(content)
	if !ok || tag != tagMAC || err != nil || len(mac) != 6 && len(mac) != 8 {
		return "", fmt.Errorf("%w: neither text, bytes nor a MAC address", cborx.ErrMalformed)
	}
	if len(mac) == 6 {
		mac = append(append(append(make([]byte, 0, 8), mac[:3]...), 0xff, 0xfe), mac[3:]...)
	}
	pairs := make([]string, len(mac))
	for i, b := range mac {
		pairs[i] = fmt.Sprintf("%02X", b)
	}
	return strings.Join(pairs, "-"), nil
}
