package coapmsg

import "fmt"

// Bits of the first byte of the OSCORE option (RFC 8613, Section 6.1;
// draft-ietf-core-oscore-groupcomm-28, Section 4.1, for the Group Flag).
const (
	flagPIVLength  = 0x07
	flagKID        = 0x08
	flagKIDContext = 0x10
	flagGroup      = 0x20
	flagReserved   = 0xc0
)

// MaxOSCOREOption is the longest value of an OSCORE option in bytes
// (RFC 8613, Section 2).
const MaxOSCOREOption = 255

// OSCOREOption is the value of the OSCORE option: the compressed COSE header
// (RFC 8613, Section 6.1). A nil field is absent, an empty one that is not nil
// is present and empty; a Partial IV is absent or has one to five bytes.
type OSCOREOption struct {
	PIV        []byte // Partial IV, as EncodePIV gives it
	KIDContext []byte // kid context; the Gid in Group OSCORE
	KID        []byte // kid; the sender's Sender ID
	Group      bool   // Group Flag: the message is protected in group mode
}

// ParseOSCOREOption reads the value of an OSCORE option. Fields alias v.
// ErrFormat is returned for reserved bits or lengths, truncated or surplus
// fields, a flag byte 0 that should have been left out, and a Partial IV with
// a leading zero byte. Base OSCORE has to refuse Group by itself.
func ParseOSCOREOption(v []byte) (OSCOREOption, error) {
	var o OSCOREOption
	if len(v) == 0 {
		return o, nil
	}
	if len(v) > MaxOSCOREOption {
		return o, fmt.Errorf("%w: oscore option of %d bytes", ErrFormat, len(v))
	}
	flags, n := v[0], int(v[0]&flagPIVLength)
	if flags == 0 || flags&flagReserved != 0 || n > MaxPIVSize {
		return o, fmt.Errorf("%w: oscore flag bits 0x%02x", ErrFormat, flags)
	}
	rest := v[1:]
	if n > len(rest) {
		return o, fmt.Errorf("%w: oscore option truncated in partial iv", ErrFormat)
	}
	if n > 0 {
		o.PIV, rest = rest[:n:n], rest[n:]
		if _, err := DecodePIV(o.PIV); err != nil {
			return OSCOREOption{}, err
		}
	}
	if flags&flagKIDContext != 0 {
		if len(rest) == 0 || int(rest[0]) > len(rest)-1 {
			return OSCOREOption{}, fmt.Errorf("%w: oscore option truncated in kid context", ErrFormat)
		}
		s := int(rest[0])
		o.KIDContext, rest = rest[1:1+s:1+s], rest[1+s:]
	}
	if flags&flagKID != 0 {
		o.KID = rest[:len(rest):len(rest)]
	} else if len(rest) > 0 {
		return OSCOREOption{}, fmt.Errorf("%w: surplus bytes in oscore option", ErrFormat)
	}
	o.Group = flags&flagGroup != 0
	return o, nil
}

// Size is the length of the encoded value in bytes.
func (o OSCOREOption) Size() int {
	n := len(o.PIV) + len(o.KID)
	if o.KIDContext != nil {
		n += 1 + len(o.KIDContext)
	}
	if o.PIV != nil || o.KIDContext != nil || o.KID != nil || o.Group {
		n++
	}
	return n
}

// Validate reports, as ErrValue, an option that cannot be encoded: an illegal
// Partial IV, a kid context above 255 bytes, or more than MaxOSCOREOption in
// all.
func (o OSCOREOption) Validate() error {
	if o.PIV != nil {
		if _, err := DecodePIV(o.PIV); err != nil {
			return fmt.Errorf("%w: %w", ErrValue, err)
		}
	}
	if n := o.Size(); n > MaxOSCOREOption {
		return fmt.Errorf("%w: oscore option of %d bytes", ErrValue, n)
	}
	return nil
}

// Append appends the encoded value: nothing at all if every field is absent
// (RFC 8613, Section 6.1). What Validate refuses must not be given; a kid
// context or Partial IV too long for its length field panics.
func (o OSCOREOption) Append(dst []byte) []byte {
	if len(o.PIV) > MaxPIVSize || len(o.KIDContext) > 0xff {
		panic("coapmsg: oscore option field too long")
	}
	if o.Size() == 0 {
		return dst
	}
	flags := byte(len(o.PIV))
	if o.KID != nil {
		flags |= flagKID
	}
	if o.KIDContext != nil {
		flags |= flagKIDContext
	}
	if o.Group {
		flags |= flagGroup
	}
	dst = append(append(dst, flags), o.PIV...)
	if o.KIDContext != nil {
		dst = append(append(dst, byte(len(o.KIDContext))), o.KIDContext...)
	}
	return append(dst, o.KID...)
}
