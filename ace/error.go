package ace

import (
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/ace/internal/wire"
)

// Error is an error response of the framework: what a peer gets for a request that is refused.
//
// An Authorization Server sends its [Error.Payload]. A Resource Server sends the code alone on an unprotected answer, because
// more would tell a stranger about its tokens; the rest of Error is for the log then.
type Error struct {
	Code        codes.Code // of the CoAP response
	Number      ErrorCode  // OAuth error code; 0 if the response is none of the token endpoint
	Description string     // in English, without secrets
	URI         string     // of a page that tells more; empty: none
	Err         error      // cause, for errors.Is; may be nil
	Refusal     Refusal    // of a Resource Server: why it did not take a token
	// RetryAfter is when it is worth to ask again, for the option Max-Age of the answer; 0: nothing is said.
	RetryAfter time.Duration
}

// Error returns the code and the description.
func (e *Error) Error() string {
	s := e.Code.String()
	if e.Number != 0 {
		s += " " + e.Number.String()
	}
	if e.Description != "" {
		s += ": " + e.Description
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Payload returns the map of error, error_description and error_uri, of Content-Format 19 (RFC 9200, Section 5.8.3), or nil without Number.
func (e *Error) Payload() []byte {
	if e.Number == 0 {
		return nil
	}
	var w wire.Writer
	w.Int(paramError, int64(e.Number))
	w.Text(paramErrorDescription, e.Description)
	w.Text(paramErrorURI, e.URI)
	return w.Encode()
}

// ParseError reads the payload of an error response of the token endpoint. The response code goes into the result.
func ParseError(code codes.Code, payload []byte) (*Error, error) {
	r := wire.NewReader(payload)
	r.Require(paramError)
	n, _ := r.Int(paramError)
	text, _ := r.Text(paramErrorDescription)
	uri, _ := r.Text(paramErrorURI)
	if n == 0 && r.Has(paramError) {
		r.Failf("error 0 is none")
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	return &Error{Code: code, Number: ErrorCode(n), Description: text, URI: uri}, nil
}
