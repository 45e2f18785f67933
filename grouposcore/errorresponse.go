package grouposcore

import (
	"errors"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/oscore"
)

// modeError says which mode is not available.
type modeError struct{ mode Mode }

func (e *modeError) Error() string {
	return e.mode.String() + " mode not available in this security context"
}
func (e *modeError) Is(target error) bool { return target == ErrModeUnavailable }

// retryAfter is how long a client should wait for a server that does not have
// its credential, in seconds: the default of RFC 7252, Section 5.10.5.
const retryAfter = 60

// ErrorResponse gives the response a server may send, unprotected, for an error
// of UnprotectRequest: code, diagnostic payload, and an Outer Max-Age of maxAge
// seconds (RFC 8613, Section 8.2; Sections 7.2 and 8.4 here). A failed
// countersignature gives the same as a failed decryption. ok is false for
// errors that are not answered; for ErrWindowInvalid a protected 4.01 with Echo
// is due. Nothing of this may be sent to a group request, or where it is not
// known whether the request is one (Section 7).
func ErrorResponse(err error) (code codes.Code, diagnostic string, maxAge uint32, ok bool) {
	var m *modeError
	switch {
	case errors.Is(err, ErrNoCredential):
		return codes.ServiceUnavailable, "", retryAfter, true
	case errors.As(err, &m) && m.mode == PairwiseMode:
		return codes.BadOption, "Pairwise mode not supported", 0, true
	case errors.Is(err, ErrModeUnavailable):
		return 0, "", 0, false
	}
	return oscore.ErrorResponse(err)
}
