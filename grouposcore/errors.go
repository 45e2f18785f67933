package grouposcore

import (
	"errors"

	"github.com/cohort-iot/cohort/oscore"
)

// Errors shared with package oscore, so that one mapping to CoAP answers
// serves both (RFC 8613, Sections 8.2 and 8.4).
var (
	// ErrMalformed: the message has no usable OSCORE option or payload, or a
	// field that is mandatory here is missing.
	ErrMalformed = oscore.ErrMalformed
	// ErrNoContext: the kid context is not the Gid of this context.
	ErrNoContext = oscore.ErrNoContext
	// ErrReplay: the Partial IV was received before, or is too old; for a
	// response, not newer than what was received in its exchange.
	ErrReplay = oscore.ErrReplay
	// ErrDecryption: countersignature or tag did not verify. Which of the two,
	// [Cause] tells for logs; to the network they are the same.
	ErrDecryption = oscore.ErrDecryption
	// ErrWindowInvalid: verified, but the sender's Replay Window is not valid,
	// so the message must not be delivered (Section 2.6.1.2).
	ErrWindowInvalid = oscore.ErrWindowInvalid
	// ErrNotProtected: the message has no OSCORE option.
	ErrNotProtected = oscore.ErrNotProtected
	// ErrExchange: the exchange is of another role or context, or the message
	// is not of the kind asked for: a fault of the caller.
	ErrExchange = oscore.ErrExchange
	// ErrTooLong: the algorithm or the OSCORE option cannot hold the message.
	ErrTooLong = oscore.ErrTooLong
)

var (
	// ErrNoCredential: the authentication credential of that Sender ID is not
	// known. A [CredentialSource] returns it.
	ErrNoCredential = errors.New("no authentication credential for that sender id")
	// ErrBadCredential: a credential is known but cannot be used in this group.
	ErrBadCredential = errors.New("authentication credential does not fit the group")
	// ErrModeUnavailable: the message needs a mode that the group does not use,
	// or that this endpoint cannot process (Section 6).
	ErrModeUnavailable = errors.New("mode not available in this security context")
	// ErrOwnSenderID: the kid is the endpoint's own Sender ID, or one whose
	// credential has the endpoint's own key (Section 7.2).
	ErrOwnSenderID = errors.New("kid is the own sender id")
	// ErrSilent: a silent server has no Sender Context and protects nothing
	// (Section 1.1).
	ErrSilent = errors.New("silent server has no sender context")
	// ErrWrongServer: a pairwise request was answered by somebody else than the
	// server it was made for (Sections 7.4 and 8.6).
	ErrWrongServer = errors.New("response from another server than the intended one")
	// ErrSenderIDChanged: the server answered before in this exchange under
	// another Sender ID (Section 7.4, kid1 and kid2).
	ErrSenderIDChanged = errors.New("server changed its sender id within the exchange")
	// ErrExchangeDone: the exchange was closed, or had the one response it
	// admits (Sections 1.1 and 5.3.1).
	ErrExchangeDone = errors.New("exchange accepts no further response")
	// ErrTooManyPeers: a bound on peers in one exchange was reached.
	ErrTooManyPeers = errors.New("too many peers")
	// ErrStale: the peer was removed from the group, or got another credential
	// while the message was in work.
	ErrStale = errors.New("peer was removed from the group")
	// ErrNotFresh: verified and no replay, but the group's policy wants the
	// client to show first that it is fresh (Section 9, [RequireEcho]).
	ErrNotFresh = errors.New("client has not shown to be fresh")
	// ErrSuspended: new parameters are being installed; no processing starts
	// until then (Section 2.6.3.2).
	ErrSuspended = errors.New("group is being rekeyed")
	// ErrNotMember: the endpoint left the group (Section 5.1).
	ErrNotMember = errors.New("not a member of the group any more")
	// ErrParams: parameters or identity cannot make a Security Context.
	ErrParams = errors.New("invalid group parameters")
)

// failure is a failed verification. Its text does not tell the cause.
type failure struct{ cause string }

func (f *failure) Error() string        { return ErrDecryption.Error() }
func (f *failure) Is(target error) bool { return target == ErrDecryption }

// Cause tells, for logs and metrics only, why a message did not verify:
// "countersignature", "tag", "length", or "" for any other error. It must not
// influence what is sent (Section 7.2).
func Cause(err error) string {
	var f *failure
	if errors.As(err, &f) {
		return f.cause
	}
	return ""
}

var (
	errSignature = &failure{"countersignature"}
	errTag       = &failure{"tag"}
	errLength    = &failure{"length"}
)
