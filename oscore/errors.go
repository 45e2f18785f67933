package oscore

import (
	"errors"

	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// Errors a caller may branch on.
var (
	// ErrParams reports Params that make no context.
	ErrParams = errors.New("invalid oscore parameters")
	// ErrNotProtected reports a message without an OSCORE option. A client may
	// show such a response to its user as an untrusted hint, and nothing more
	// (RFC 8613, Appendix D.5.3); the exchange stays open.
	ErrNotProtected = errors.New("message is not protected with oscore")
	// ErrMalformed reports an OSCORE message that cannot be decompressed or
	// decoded, or whose plaintext is no CoAP message (RFC 8613, Section 8.2).
	ErrMalformed = errors.New("malformed oscore message")
	// ErrNoContext reports that kid or kid context are not this context's.
	ErrNoContext = errors.New("security context not found")
	// ErrReplay reports a message that was received before, or that is older
	// than what is still remembered.
	ErrReplay = errors.New("replay detected")
	// ErrDecryption reports a message that does not verify. The cause is not
	// told apart.
	ErrDecryption = errors.New("decryption failed")
	// ErrWindowInvalid reports a request that verified but may be a replay,
	// since the replay window was lost (RFC 8613, Appendix B.1.2).
	ErrWindowInvalid = errors.New("replay window is not valid")
	// ErrSequenceExhausted reports that all sequence numbers are spent: the
	// context protects nothing any more (RFC 8613, Section 7.2.1).
	ErrSequenceExhausted = errors.New("sender sequence numbers exhausted")
	// ErrSequenceNotReserved reports that the reserved block is used up.
	ErrSequenceNotReserved = errors.New("no sender sequence number is reserved")
	// ErrExchange reports an exchange of another context or role, or a message
	// of the wrong kind: a fault of the caller.
	ErrExchange = errors.New("exchange does not fit")
	// ErrTooLong reports a message the AEAD algorithm or the OSCORE option
	// cannot hold.
	ErrTooLong = errors.New("message too long to protect")
)

// ErrorResponse gives the response a server may send, unprotected and with an
// Outer Max-Age of maxAge seconds, for an error of UnprotectRequest (RFC 8613,
// Section 8.2): its code and diagnostic payload. ok is false for errors that
// are not answered in this way; for ErrWindowInvalid a protected response is
// due. No such response may be sent to a multicast request, and a server may
// always stay silent (Appendix D.5.3).
func ErrorResponse(err error) (code codes.Code, diagnostic string, maxAge uint32, ok bool) {
	switch {
	case errors.Is(err, ErrMalformed):
		return codes.BadOption, "Failed to decode COSE", 0, true
	case errors.Is(err, ErrNoContext):
		return codes.Unauthorized, "Security context not found", 0, true
	case errors.Is(err, ErrReplay):
		return codes.Unauthorized, "Replay detected", 0, true
	case errors.Is(err, ErrDecryption):
		return codes.BadRequest, "Decryption failed", 0, true
	}
	return 0, "", 0, false
}
