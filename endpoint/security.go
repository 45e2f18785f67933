package endpoint

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// RequestOpener verifies and decrypts incoming requests. An endpoint asks its
// openers in order until one does not answer ErrNoContext. Openers are called
// by many goroutines at once.
type RequestOpener interface {
	// OpenRequest opens a request with one, well-formed OSCORE option. The
	// error is
	//   - ErrNoContext if this opener has no security context for it;
	//   - a *MissingCredential if the sender's credential has to be fetched;
	//   - ErrOverBudget if it was not even verified, for too much was in vain;
	//   - a *Refusal if an answer may be sent to a unicast request;
	//   - anything else is dropped without an answer.
	OpenRequest(m message.Message, opt coapmsg.OSCOREOption, from netip.AddrPort, multicast bool) (*Opened, error)
}

// Opened is a request that verified.
type Opened struct {
	// Message is the request as the sender's application made it.
	Message message.Message
	// Peer is who sent it. The endpoint fills in Addr and Multicast.
	Peer Peer
	// Protect protects the one response, or each of several, to this request.
	Protect func(resp message.Message, o ProtectOptions) (message.Message, error)
	// Reply, if it has a code, is a response that is protected already and is
	// to be sent at once; nobody is to serve Message. It is how an opener runs
	// a procedure of its own, such as RFC 8613, Appendix B.2.
	Reply message.Message
	// Fresh is nil for a request that is known to be no replay. Otherwise the
	// request is served only if it echoes a value this endpoint gave to this
	// peer: then Fresh is called, to mark the request as received and to make
	// the replay window valid. An error of Fresh drops the request
	// (RFC 8613, Appendix B.1.2; RFC 9175, Section 2).
	Fresh func() error
	// First, if not nil, is called once the request is known to be no replay and
	// before it is served. It may take its time, which OpenRequest should not:
	// the next request of the same remote is verified meanwhile. If it fails the
	// request is not served; when its next copy comes, First is called again.
	First func() error
	// Context tells the security contexts, or groups, of all openers apart, such
	// as a pointer to it; it is comparable. What is kept between the requests of
	// one sender (block-wise bodies, observations, its address) is found by it
	// and by the Credential of Peer, or the SenderID and Gid if there is none.
	Context any
	// Overhead is how many bytes a protected response is longer than its CoAP
	// message, at most; 0 leaves it to the endpoint to assume the worst.
	Overhead int
}

// ProtectOptions says what a response must carry besides the default.
type ProtectOptions struct {
	// PIV makes the response use and carry a Partial IV of its own.
	PIV bool
}

// Protector protects the requests of a client for one peer or one group. It is
// called once for each request; retransmissions send the same bytes.
type Protector interface {
	ProtectRequest(m message.Message) (message.Message, ResponseOpener, error)
}

// ResponseOpener verifies and decrypts the responses to one request, received
// at a time. The endpoint fills in the Addr of the peer. An endpoint calls it
// from one goroutine at a time.
//
// The error is a *MissingCredential if the sender's credential has to be
// fetched, ErrAgain if the response only served the security context and the
// request is to be protected and sent once more, an *UnprotectedError if what is
// seen without verification says that no response will come; after any other the
// response is dropped. If the opener has a method Close it is called at the end.
type ResponseOpener interface {
	OpenResponse(m message.Message, at time.Time) (message.Message, Peer, error)
}

// unicaster is implemented by a Protector whose requests to one member differ
// from those to the group. to is nil if the member is not known.
type unicaster interface {
	unicast(to *Peer) Protector
}

// ErrAgain is returned by a ResponseOpener for a response that moved the
// security context on: Do then protects the request again, and sends it.
var ErrAgain = errors.New("request has to be protected again")

// ErrNoContext is returned by a RequestOpener that has no security context for
// a request.
var ErrNoContext = errors.New("no security context for this message")

// ErrOverBudget is returned by a RequestOpener that spends no more effort on a
// sender or source whose messages did not verify. The request is dropped.
var ErrOverBudget = errors.New("too many messages of this sender or source did not verify")

// Refusal is the error of a RequestOpener that lets the endpoint answer, in
// clear, with an error response. Multicast requests are never answered so.
type Refusal struct {
	Code       codes.Code
	Diagnostic string
	Err        error // the cause, for the log; may be nil
}

// Error returns the cause.
func (r *Refusal) Error() string {
	if r.Err == nil {
		return r.Diagnostic
	}
	return r.Err.Error()
}

// Unwrap returns the cause.
func (r *Refusal) Unwrap() error { return r.Err }

// MissingCredential is the error of an opener that lacks the authentication
// credential of a group member. The endpoint keeps the message for a while and
// tells Config.CredentialWanted.
type MissingCredential struct {
	Gid, SenderID []byte
}

// Error names the member.
func (m *MissingCredential) Error() string {
	return fmt.Sprintf("no credential for sender %x of group %x", m.SenderID, m.Gid)
}
