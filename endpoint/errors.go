package endpoint

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// Errors of an endpoint.
var (
	// ErrClosed is returned by calls on a closed endpoint, and by those that
	// the closing interrupts.
	ErrClosed = errors.New("endpoint is closed")
	// ErrTimeout is returned when a confirmable request was retransmitted as
	// often as allowed and never acknowledged.
	ErrTimeout = errors.New("request was not acknowledged")
	// ErrNoResponse is returned when a request may have arrived but no
	// response came within the lifetime of the exchange.
	ErrNoResponse = errors.New("no response in the lifetime of the exchange")
	// ErrReset is returned when the peer rejected a request with a Reset.
	ErrReset = errors.New("peer rejected the message")
	// ErrBusy is returned when too many requests are outstanding.
	ErrBusy = errors.New("too many outstanding requests")
	// ErrInsecureMulticast is returned for a group request without protection
	// (draft-ietf-core-groupcomm-bis, Section 4).
	ErrInsecureMulticast = errors.New("group requests need protection")
	// ErrRequest reports a Request that cannot be sent as it is.
	ErrRequest = errors.New("unusable request")
	// ErrBlock reports a block-wise transfer that failed: the peer broke its
	// rules or lost the body, or the body is longer than Config.MaxBody.
	ErrBlock = errors.New("block-wise transfer failed")
	// ErrVia is returned where the network of the endpoint or its configuration
	// does not offer the way a request is to travel.
	ErrVia = errors.New("transport is not offered")
	// ErrConnection is returned when a connection could not be opened, or ended
	// before the response came.
	ErrConnection = errors.New("no connection")
	// ErrConn is returned by methods of a handler's mux.Conn that an endpoint
	// does not offer.
	ErrConn = errors.New("not offered here: use the endpoint's Do")
)

// UnprotectedError is the error of Do when the peer answered a protected
// request with an error in clear. Anybody on the path can have made it: it is
// a hint (such as "Security context not found"), never a fact (RFC 8613,
// Section 8.2).
type UnprotectedError struct {
	From       netip.AddrPort
	Code       codes.Code
	Diagnostic string
}

// Error names code and diagnostic text.
func (e *UnprotectedError) Error() string {
	return fmt.Sprintf("unprotected error %s from %s: %q", coapmsg.CodeString(e.Code), e.From, e.Diagnostic)
}
