package member

import (
	"errors"
	"fmt"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// Errors on which callers branch. Errors of this package wrap them.
var (
	// ErrConfig reports a Config or options that cannot work.
	ErrConfig = errors.New("unusable configuration")
	// ErrClosed is returned after Close.
	ErrClosed = errors.New("device is closed")
	// ErrNotMember is returned for a group the device is not in, or no longer.
	ErrNotMember = errors.New("not a member of the group")
	// ErrAlreadyMember is returned by a second Join of one group.
	ErrAlreadyMember = errors.New("already a member of the group")
	// ErrEvicted is ErrNotMember after the Group Manager removed the device.
	ErrEvicted = fmt.Errorf("%w: evicted by the group manager", ErrNotMember)
	// ErrLeft is ErrNotMember after the device left.
	ErrLeft = fmt.Errorf("%w: left", ErrNotMember)
	// ErrRole: the device's roles in the group do not allow it.
	ErrRole = errors.New("not among the device's roles in the group")
	// ErrTokenRefused: the Authorization Server gives no token for this.
	ErrTokenRefused = errors.New("the authorization server refused a token")
	// ErrUnauthorised: the Group Manager does not accept the token, or not for
	// this.
	ErrUnauthorised = errors.New("the group manager refused the device")
	// ErrManager: the Group Manager could not be authenticated, or it gave what
	// must not be used; nothing of it was.
	ErrManager = errors.New("the group manager is not to be trusted in this")
	// ErrRefused is any other error response; see [Refused] for its code.
	ErrRefused = errors.New("request refused")
	// ErrStaleKey: the keying material is outdated or has expired and the
	// current one could not be had yet.
	ErrStaleKey = errors.New("keying material is outdated")
	// ErrInactive: the group exists but is not active.
	ErrInactive = errors.New("group is not active")
	// ErrUnsupported: the group uses something this device does not have.
	ErrUnsupported = errors.New("not supported by this device")
	// ErrUnknownPeer: no member with that Sender ID or name was heard, or its
	// address is not known.
	ErrUnknownPeer = errors.New("unknown peer")
)

// Refused is the error response of the Authorization Server or the Group
// Manager to one operation.
type Refused struct {
	Op      string
	Code    codes.Code
	Problem *groupcomm.Problem // nil unless the response named a reason
	kind    error
}

// Error says what was refused and why.
func (r *Refused) Error() string {
	s := fmt.Sprintf("%s: %v: %s", r.Op, r.kind, coapmsg.CodeString(r.Code))
	if r.Problem != nil {
		s += ": " + r.Problem.ID.String()
		if r.Problem.Detail != "" {
			s += " (" + r.Problem.Detail + ")"
		}
	}
	return s
}

// Unwrap returns the sentinel the refusal belongs to.
func (r *Refused) Unwrap() error { return r.kind }
