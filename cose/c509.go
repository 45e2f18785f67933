package cose

import (
	"fmt"
	"time"

	"github.com/cohort-iot/cohort/internal/cborx"
)

// c509 is what is in use of a C509 certificate
// (draft-ietf-cose-cbor-encoded-cert-20, Section 3.1).
type c509 struct {
	native              bool // signed as CBOR, not re-encoded from X.509
	subject             string
	notBefore, notAfter time.Time
	pub                 *PublicKey
	extensions          c509Extensions
}

// Elements of the array C509Certificate, in their order.
const (
	c509Type = iota
	c509Serial
	c509SignatureAlgorithm
	c509Issuer
	c509NotBefore
	c509NotAfter
	c509Subject
	c509KeyAlgorithm
	c509Key
	c509ExtensionsField
	c509Signature
	c509Elements
)

// c509Head is the first byte of a certificate, the head of its array.
const c509Head = 0x80 | c509Elements

// parseC509 parses a C509 certificate, alone or as a COSE_C509. Until version 19 of
// the draft its byte strings held the array's elements without the head; that is the
// only thing they can be if the head is not there, and it is put back.
func (c *Credential) parseC509(raw []byte) error {
	if len(raw) > 0 && raw[0] == c509Head {
		return c.setC509(raw)
	}
	certs, err := unwrapCOSE(raw)
	if err != nil {
		return err
	}
	for i, cert := range certs {
		if len(cert) == 0 || cert[0] != c509Head {
			certs[i] = append([]byte{c509Head}, cert...)
		}
	}
	first := 0
	if len(certs) > 1 && c.format == FormatC509Bag {
		first, err = endEntity(certs, func(i int) (bool, error) { return c509IsCA(certs[i]) })
		if err != nil {
			return err
		}
	}
	for _, cert := range certs {
		if _, err := c509Array(cert); err != nil {
			return err
		}
	}
	return c.setC509(certs[first])
}

func (c *Credential) setC509(raw []byte) error {
	cert, err := newC509(raw)
	if err != nil {
		return err
	}
	c.raw, c.pub, c.subject = raw, cert.pub, cert.subject
	c.notBefore, c.notAfter = cert.notBefore, cert.notAfter
	c.pub.restrict(cert.extensions.signs())
	return nil
}

// c509IsCA reports whether a certificate is of a certification authority; its key may
// be of any algorithm.
func c509IsCA(raw []byte) (bool, error) {
	items, err := c509Array(raw)
	if err != nil {
		return false, err
	}
	e, err := parseC509Extensions(items[c509ExtensionsField])
	return e.ca, err
}

// c509Array splits a certificate into its elements.
func c509Array(raw []byte) ([]cborx.RawMessage, error) {
	if err := cborx.Deterministic(raw); err != nil { // Section 2 of the draft
		return nil, err
	}
	items, err := parseArray(raw)
	if err != nil {
		return nil, err
	}
	if len(items) != c509Elements {
		return nil, fmt.Errorf("%w: C509 certificate of %d elements", cborx.ErrMalformed, len(items))
	}
	return items, nil
}

func newC509(raw []byte) (*c509, error) {
	items, err := c509Array(raw)
	if err != nil {
		return nil, err
	}
	c := new(c509)
	switch kind, err := cborx.Int(items[c509Type]); {
	case err != nil:
		return nil, fmt.Errorf("type: %w", err)
	case kind != 2 && kind != 3: // Section 8.2 of the draft
		return nil, fmt.Errorf("%w: C509 certificate of type %d", cborx.ErrMalformed, kind)
	default:
		c.native = kind == 2
	}
	serial, err := cborx.Bytes(items[c509Serial])
	if err != nil || len(serial) == 0 || len(serial) > maxSerial || serial[0] == 0 {
		return nil, fmt.Errorf("%w: serial number", cborx.ErrMalformed)
	}
	if err := c509AlgorithmIdentifier(items[c509SignatureAlgorithm]); err != nil {
		return nil, fmt.Errorf("signature algorithm: %w", err)
	}
	if err := c.parseNames(items[c509Issuer], items[c509Subject]); err != nil {
		return nil, err
	}
	if err := c.parseValidity(items[c509NotBefore], items[c509NotAfter]); err != nil {
		return nil, err
	}
	if c.pub, err = c509PublicKey(c.native, items[c509KeyAlgorithm], items[c509Key]); err != nil {
		return nil, err
	}
	if c.extensions, err = parseC509Extensions(items[c509ExtensionsField]); err != nil {
		return nil, fmt.Errorf("extensions: %w", err)
	}
	if _, err := cborx.Bytes(items[c509Signature]); err != nil {
		return nil, fmt.Errorf("signature: %w", err)
	}
	return c, nil
}

// parseValidity reads both times, seconds since 1970; the latter may be null for no end.
func (c *c509) parseValidity(notBefore, notAfter []byte) error {
	start, err := cborx.Uint(notBefore)
	if err != nil || start > maxTime {
		return fmt.Errorf("%w: not before", cborx.ErrMalformed)
	}
	c.notBefore = time.Unix(int64(start), 0).UTC()
	if cborx.IsNull(notAfter) {
		return nil
	}
	end, err := cborx.Uint(notAfter)
	if err != nil || end >= maxTime {
		return fmt.Errorf("%w: not after", cborx.ErrMalformed)
	}
	c.notAfter = time.Unix(int64(end), 0).UTC()
	return nil
}

// c509AlgorithmIdentifier checks an AlgorithmIdentifier: a registered number, the
// content of an OID, or an array of that and parameters in DER.
func c509AlgorithmIdentifier(item []byte) error {
	if _, err := cborx.Int(item); err == nil {
		return nil
	}
	if oid, err := cborx.Bytes(item); err == nil {
		return checkOID(oid)
	}
	pair, err := parseArray(item)
	if err != nil || len(pair) != 2 {
		return fmt.Errorf("%w: not an AlgorithmIdentifier", cborx.ErrMalformed)
	}
	oid, err := cborx.Bytes(pair[0])
	if err != nil {
		return err
	}
	if _, err := cborx.Bytes(pair[1]); err != nil {
		return err
	}
	return checkOID(oid)
}

// checkOID checks the content of an OID as tag 111 holds it (RFC 9090, Section 2):
// complete subidentifiers without leading zeros.
func checkOID(oid []byte) error {
	start := true
	for _, b := range oid {
		if start && b == 0x80 {
			return fmt.Errorf("%w: OID with a leading zero", cborx.ErrMalformed)
		}
		start = b < 0x80
	}
	if len(oid) == 0 || !start {
		return fmt.Errorf("%w: OID is not complete", cborx.ErrMalformed)
	}
	return nil
}
