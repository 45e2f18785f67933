package secret

import (
	"errors"
	"fmt"
	"log/slog"
)

// Hidden is key material in a field of a struct. Whatever holds that struct, by however many unexported fields, package fmt does
// not reach the bytes: they are behind a function, and it looks into none. The zero value is an absent secret, which differs from
// an empty one.
type Hidden struct {
	get func() Bytes
}

// Hide hides b, which it does not copy. Nil is absent.
func Hide(b []byte) Hidden {
	if b == nil {
		return Hidden{}
	}
	return Hidden{func() Bytes { return b }}
}

// Bytes returns the secret itself; nil if it is absent.
func (h Hidden) Bytes() Bytes {
	if h.get == nil {
		return nil
	}
	return h.get()
}

// Len returns its length in bytes.
func (h Hidden) Len() int { return len(h.Bytes()) }

// IsZero says whether it is absent.
func (h Hidden) IsZero() bool { return h.get == nil }

// Equal compares in time that depends on the lengths only.
func (h Hidden) Equal(o []byte) bool { return h.Bytes().Equal(o) }

// Clone returns a copy that shares no memory with h.
func (h Hidden) Clone() Hidden { return Hide(h.Bytes().Clone()) }

// String returns "[redacted]".
func (h Hidden) String() string { return redacted }

// Format writes "[redacted]" whatever the verb.
func (h Hidden) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// LogValue makes log/slog print "[redacted]".
func (h Hidden) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON returns the JSON string "[redacted]".
func (h Hidden) MarshalJSON() ([]byte, error) { return Bytes(nil).MarshalJSON() }

// MarshalText returns "[redacted]".
func (h Hidden) MarshalText() ([]byte, error) { return Bytes(nil).MarshalText() }

// UnmarshalJSON refuses: what was written is not the secret.
func (h *Hidden) UnmarshalJSON([]byte) error { return errRedacted }

// UnmarshalText refuses: what was written is not the secret.
func (h *Hidden) UnmarshalText([]byte) error { return errRedacted }

var errRedacted = errors.New("secret: text and JSON do not hold key material")

// MarshalBinary returns the secret itself, for records of sealed stores: CBOR has a byte string of it.
func (h Hidden) MarshalBinary() ([]byte, error) { return h.Bytes(), nil }

// UnmarshalBinary reads what MarshalBinary wrote.
func (h *Hidden) UnmarshalBinary(b []byte) error {
	*h = Hide(append([]byte{}, b...))
	return nil
}
