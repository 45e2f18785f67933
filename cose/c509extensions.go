package cose

import (
	"fmt"

	"github.com/cohort-iot/cohort/internal/cborx"
)

// Values of the registry "C509 Extensions Registry" that are looked at
// (draft-ietf-cose-cbor-encoded-cert-20, Section 8.8). A critical extension has the
// negative value.
const (
	c509ExtKeyUsage         = 2
	c509ExtBasicConstraints = 4
)

// Bits of KeyUsage (Section 3.3 of the draft), and its largest value, of nine bits.
const (
	c509DigitalSignature = 1
	c509MaxKeyUsage      = 1<<9 - 1
)

// c509Extensions is what is in use of a certificate's extensions.
type c509Extensions struct {
	keyUsage int64 // 0: no such extension
	ca       bool
}

// signs reports whether the key usage allows signatures; without one everything is.
func (e c509Extensions) signs() bool {
	return e.keyUsage == 0 || e.keyUsage&c509DigitalSignature != 0
}

// parseC509Extensions reads an array of pairs, or one integer for a keyUsage that is
// alone (Section 3.1.10 of the draft). No extension may be there twice (RFC 5280,
// Section 4.2). Those that are critical and unknown are for whoever verifies the
// certificate.
func parseC509Extensions(item []byte) (e c509Extensions, err error) {
	if usage, err := cborx.Int(item); err == nil {
		return e, e.setKeyUsage(max(usage, -usage))
	}
	items, err := parseArray(item)
	if err != nil {
		return e, err
	}
	if len(items)%2 != 0 {
		return e, fmt.Errorf("%w: extension without a value", cborx.ErrMalformed)
	}
	seen := make(map[string]bool, len(items)/2)
	for i := 0; i < len(items); i += 2 {
		name, err := e.parseExtension(items[i], items[i+1])
		if err != nil {
			return e, err
		}
		if seen[name] {
			return e, fmt.Errorf("%w: extension is there twice", cborx.ErrMalformed)
		}
		seen[name] = true
	}
	return e, nil
}

// parseExtension checks one extension and returns a text that names it, critical or not.
func (e *c509Extensions) parseExtension(id, value []byte) (name string, err error) {
	if oid, err := cborx.Bytes(id); err == nil {
		if err := checkOID(oid); err != nil {
			return "", err
		}
		if critical, err := parseArray(value); err == nil && len(critical) == 1 {
			value = critical[0]
		}
		if _, err := cborx.Bytes(value); err != nil {
			return "", fmt.Errorf("extension by OID: %w", err)
		}
		return "oid " + string(oid), nil
	}
	n, err := cborx.Int(id)
	if err != nil || n == 0 {
		return "", fmt.Errorf("%w: extension id", cborx.ErrMalformed)
	}
	if cborx.IsUndefined(value) {
		return "", fmt.Errorf("%w: extension %d is undefined", cborx.ErrMalformed, n)
	}
	n = max(n, -n)
	switch n {
	case c509ExtKeyUsage:
		usage, err := cborx.Int(value)
		if err == nil {
			err = e.setKeyUsage(usage)
		}
		if err != nil {
			return "", fmt.Errorf("key usage: %w", err)
		}
	case c509ExtBasicConstraints:
		// -2: no CA; -1: CA; else CA with a path length
		length, err := cborx.Int(value)
		if err != nil || length < -2 {
			return "", fmt.Errorf("%w: basic constraints", cborx.ErrMalformed)
		}
		e.ca = length >= -1
	}
	return fmt.Sprint(n), nil
}

func (e *c509Extensions) setKeyUsage(usage int64) error {
	if usage <= 0 || usage > c509MaxKeyUsage {
		return fmt.Errorf("%w: key usage %d", cborx.ErrMalformed, usage)
	}
	e.keyUsage = usage
	return nil
}
