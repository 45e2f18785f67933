// Package secret holds key material in a type that does not give itself away.
//
// Whatever is a key, a Master Secret, a Master Salt or an ECDH result is a
// [Bytes] from the moment it is made until it goes into a cipher. Printed,
// logged or marshalled as JSON or text by accident it says "[redacted]";
// converting it to a plain []byte is the deliberate act by which it leaves.
//
// One hole remains: package fmt calls no methods on unexported fields, so a struct
// with a Bytes in one of those needs a Format method of its own before it is printed.
//
// Go copies memory behind one's back (stack growth, garbage collection of old
// arrays), so [Bytes.Wipe] shortens the life of a secret and promises no more.
package secret

import (
	"crypto/subtle"
	"fmt"
	"log/slog"
)

const redacted = "[redacted]"

// Bytes is key material. The zero value is an absent secret.
type Bytes []byte

// String returns "[redacted]".
func (b Bytes) String() string { return redacted }

// GoString returns "[redacted]"; it serves %#v.
func (b Bytes) GoString() string { return redacted }

// Format writes "[redacted]" whatever the verb, so that %x and %d leak nothing.
func (b Bytes) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// LogValue makes log/slog print "[redacted]".
func (b Bytes) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON returns the JSON string "[redacted]".
func (b Bytes) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// MarshalText returns "[redacted]".
func (b Bytes) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Equal compares in time that depends on the lengths only.
func (b Bytes) Equal(o []byte) bool { return subtle.ConstantTimeCompare(b, o) == 1 }

// Clone returns a copy that shares no memory with b; nil stays nil.
func (b Bytes) Clone() Bytes {
	if b == nil {
		return nil
	}
	return append(Bytes{}, b...)
}

// Wipe overwrites b with zeros. Every slice of the same array sees it.
func (b Bytes) Wipe() { clear(b) }
