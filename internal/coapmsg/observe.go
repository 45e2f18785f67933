package coapmsg

import (
	"bytes"

	"github.com/plgd-dev/go-coap/v3/message"
)

// SameObservation reports whether two requests, as the application sees them,
// observe the same: code and payload are equal, and all options but Observe
// and ETag (RFC 7641, Section 3.6; RFC 8613, Section 4.1.3.5, says that the
// options of the decrypted messages count). A cancellation that is not the same
// as its registration cancels nothing. Options are sorted, as parsers and
// UnprotectRequest give them.
func SameObservation(a, b message.Message) bool {
	if a.Code != b.Code || !bytes.Equal(a.Payload, b.Payload) {
		return false
	}
	i, j := 0, 0
	for {
		i, j = skipObservation(a.Options, i), skipObservation(b.Options, j)
		if i == len(a.Options) || j == len(b.Options) {
			return i == len(a.Options) && j == len(b.Options)
		}
		if a.Options[i].ID != b.Options[j].ID || !bytes.Equal(a.Options[i].Value, b.Options[j].Value) {
			return false
		}
		i, j = i+1, j+1
	}
}

// skipObservation returns the index of the first option from i on that counts.
func skipObservation(opts message.Options, i int) int {
	for i < len(opts) && (opts[i].ID == message.Observe || opts[i].ID == message.ETag) {
		i++
	}
	return i
}
