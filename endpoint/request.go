package endpoint

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// Request is what a client sends.
type Request struct {
	// To is the peer, or for DoMulticast the group.
	To netip.AddrPort
	// Via says how the request travels. Groups are reached by UDP only.
	Via Via
	// Code is the method.
	Code codes.Code
	// Path is split at slashes into Uri-Path options; a leading slash is
	// ignored. It is not percent-decoded.
	Path string
	// Query are the Uri-Query options.
	Query []string
	// Options are further options, in any order.
	Options message.Options
	// Payload is the body.
	Payload []byte
	// Confirmable chooses the message type of a unicast request; nil means
	// confirmable. Group requests never are.
	Confirmable *bool
	// Security protects the request; nil sends it in clear.
	Security Protector

	// OuterBlockSize, if not 0, cuts the protected message into Outer blocks of
	// at most this size, for a proxy that takes no longer ones (RFC 8613,
	// Section 4.1.3.4.2): a power of two from 16 to 1024.
	OuterBlockSize int

	// Interface and HopLimit apply to group requests: the name of the
	// interface to send by, and the hop limit. Their zero values mean the
	// interface of the endpoint's address, and 1.
	Interface string
	HopLimit  int

	outlet *outlet // of a call that may use a relief socket
}

// Response is what a client gets.
type Response struct {
	Code     codes.Code
	Options  message.Options
	Payload  []byte
	Peer     Peer      // who sent it; verified unless the request was plain
	Received time.Time // when the datagram came in
	Bytes    int       // size of the datagram
}

func (r *Request) confirmable() bool {
	return !r.To.Addr().IsMulticast() && (r.Confirmable == nil || *r.Confirmable)
}

// message makes the CoAP request, without token and Message ID.
func (r *Request) message() (message.Message, error) {
	m := message.Message{Code: r.Code, Payload: r.Payload, MessageID: -1, Type: message.Unset}
	if !coapmsg.IsRequest(r.Code) {
		return m, fmt.Errorf("%w: %s is no method", ErrRequest, coapmsg.CodeString(r.Code))
	}
	if !r.To.IsValid() || r.To.Port() == 0 {
		return m, fmt.Errorf("%w: no destination", ErrRequest)
	}
	if r.HopLimit < 0 || r.HopLimit > 255 {
		return m, fmt.Errorf("%w: hop limit %d", ErrRequest, r.HopLimit)
	}
	opts := make(message.Options, 0, len(r.Options)+len(r.Query)+4)
	for _, o := range r.Options {
		opts = coapmsg.Insert(opts, o)
	}
	if path := strings.TrimPrefix(r.Path, "/"); path != "" {
		for segment := range strings.SplitSeq(path, "/") {
			opts = coapmsg.Insert(opts, message.Option{ID: message.URIPath, Value: []byte(segment)})
		}
	}
	for _, q := range r.Query {
		opts = coapmsg.Insert(opts, message.Option{ID: message.URIQuery, Value: []byte(q)})
	}
	m.Options = opts
	if unsupported(opts) {
		return m, fmt.Errorf("%w: an option of it is not known, repeated or of the wrong length", ErrRequest)
	}
	if coapmsg.Has(opts, coapmsg.OSCORE) {
		return m, fmt.Errorf("%w: the OSCORE option belongs to Security", ErrRequest)
	}
	return m, nil
}
