package oscore

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// Names of RFC 8613, Sections 11.1 and 13.
const (
	// HTTPField is the header field that carries the OSCORE option. The case of
	// field names has no meaning; this is the form of net/http.
	HTTPField = "Oscore"
	// HTTPMediaType is the Content-Type of every HTTP message with that field.
	HTTPMediaType = "application/oscore"
	// ContentFormat is the media type's number. It never stands in an OSCORE
	// message (Section 11.3).
	ContentFormat = 10001
)

// httpEmpty is the field's value for an empty option.
const httpEmpty = "AA"

// ErrHTTP reports a message that has no counterpart in the other protocol, or
// an HTTP message that breaks RFC 8613, Section 11.1.
var ErrHTTP = errors.New("message cannot be mapped between http and coap")

// HTTPRequest is an HTTP request as far as the mapping goes.
type HTTPRequest struct {
	Method string
	// URI is the target: absolute ("coap://server/a?b", "http://server/a"), or
	// of a server itself an absolute path ("/a?b"). How an absolute URI is put
	// into the URI of a proxy (RFC 8075, Section 5) is the caller's affair.
	URI string
	// Header holds field names in any case; a net/http Header can be assigned.
	Header map[string][]string
	Body   []byte
}

// HTTPResponse is an HTTP response as far as the mapping goes.
type HTTPResponse struct {
	Status int
	Header map[string][]string
	Body   []byte
}

// RequestToHTTP maps an OSCORE request, as ProtectRequest gives it, to HTTP
// (RFC 8613, Section 11.2): always a POST, whatever its Outer Code. Its target
// are the Proxy-Uri, or Proxy-Scheme, Uri-Host and Uri-Port; Outer options that
// serve CoAP hops only are left behind. ErrHTTP is returned for what is no
// OSCORE request.
func RequestToHTTP(m message.Message) (HTTPRequest, error) {
	if !coapmsg.IsRequest(m.Code) {
		return HTTPRequest{}, fmt.Errorf("%w: code %s is no request", ErrHTTP, coapmsg.CodeString(m.Code))
	}
	header, err := httpHeader(m)
	if err != nil {
		return HTTPRequest{}, err
	}
	base, err := httpBase(m.Options)
	if err != nil {
		return HTTPRequest{}, err
	}
	return HTTPRequest{Method: "POST", URI: base + "/", Header: header, Body: m.Payload}, nil
}

// RequestFromHTTP maps an HTTP request with the OSCORE field to an OSCORE
// request for UnprotectRequest, or to be forwarded (RFC 8613, Section 11.3). An
// absolute URI becomes its Proxy-Uri, without path and query: those are inside.
// The message has no type, Message ID and token.
func RequestFromHTTP(r HTTPRequest) (message.Message, error) {
	if r.Method != "POST" {
		return message.Message{}, fmt.Errorf("%w: method %q with the oscore field", ErrHTTP, r.Method)
	}
	value, err := httpOption(r.Header, r.Body)
	if err != nil {
		return message.Message{}, err
	}
	opts := message.Options{{ID: coapmsg.OSCORE, Value: value}}
	if base, _, _, err := httpTarget(r.URI); err != nil {
		return message.Message{}, err
	} else if base != "" {
		opts = append(opts, message.Option{ID: message.ProxyURI, Value: []byte(base)})
	}
	return message.Message{Code: codes.POST, Type: message.Unset, MessageID: -1, Options: opts, Payload: r.Body}, nil
}

// ResponseToHTTP maps an OSCORE response, as ProtectResponse gives it, to HTTP:
// always a 200, whatever its Outer Code. A response without OSCORE option is
// ErrHTTP; what became of it is for the proxy to say (RFC 8075, Section 7).
func ResponseToHTTP(m message.Message) (HTTPResponse, error) {
	if !coapmsg.IsResponse(m.Code) {
		return HTTPResponse{}, fmt.Errorf("%w: code %s is no response", ErrHTTP, coapmsg.CodeString(m.Code))
	}
	header, err := httpHeader(m)
	return HTTPResponse{Status: 200, Header: header, Body: m.Payload}, err
}

// ResponseFromHTTP maps an HTTP response with the OSCORE field to an OSCORE
// response for UnprotectResponse. ErrNotProtected is returned for a response
// without that field, of whatever status.
func ResponseFromHTTP(r HTTPResponse) (message.Message, error) {
	if len(httpValues(r.Header, HTTPField)) == 0 {
		return message.Message{}, ErrNotProtected
	}
	if r.Status != 200 {
		return message.Message{}, fmt.Errorf("%w: status %d with the oscore field", ErrHTTP, r.Status)
	}
	value, err := httpOption(r.Header, r.Body)
	if err != nil {
		return message.Message{}, err
	}
	return message.Message{
		Code: codes.Changed, Type: message.Unset, MessageID: -1,
		Options: message.Options{{ID: coapmsg.OSCORE, Value: value}}, Payload: r.Body,
	}, nil
}

// httpHeader makes the header of an HTTP message from an OSCORE message. No
// cache has a use for it.
func httpHeader(m message.Message) (map[string][]string, error) {
	value, n := coapmsg.FindOSCORE(m.Options)
	if n != 1 || len(m.Payload) == 0 {
		return nil, fmt.Errorf("%w: no oscore message", ErrHTTP)
	}
	if _, err := coapmsg.ParseOSCOREOption(value); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrHTTP, err)
	}
	field := httpEmpty
	if len(value) > 0 {
		field = base64.RawURLEncoding.EncodeToString(value)
	}
	return map[string][]string{HTTPField: {field}, "Content-Type": {HTTPMediaType}, "Cache-Control": {"no-cache"}}, nil
}

// httpOption reads the OSCORE field: once, base64url without padding and in its
// one encoding, beside the right Content-Type, end to end, with a body.
func httpOption(header map[string][]string, body []byte) ([]byte, error) {
	values := httpValues(header, HTTPField)
	types := httpValues(header, "Content-Type")
	switch {
	case len(values) != 1:
		return nil, fmt.Errorf("%w: %d oscore fields", ErrHTTP, len(values))
	case len(types) != 1 || !strings.EqualFold(types[0], HTTPMediaType):
		return nil, fmt.Errorf("%w: oscore field beside content type %q", ErrHTTP, types)
	case httpLists(header, "Connection", HTTPField) || httpLists(header, "Trailer", HTTPField):
		return nil, fmt.Errorf("%w: oscore field is not end to end", ErrHTTP)
	case len(body) == 0:
		return nil, fmt.Errorf("%w: no body", ErrHTTP)
	}
	if values[0] == httpEmpty {
		return []byte{}, nil
	}
	if len(values[0]) > base64.RawURLEncoding.EncodedLen(coapmsg.MaxOSCOREOption) || strings.ContainsAny(values[0], "\r\n") {
		return nil, fmt.Errorf("%w: oscore field", ErrHTTP)
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(values[0])
	if err != nil || len(b) == 0 {
		return nil, fmt.Errorf("%w: oscore field is no base64url", ErrHTTP)
	}
	return b, nil
}

// httpValues returns the values of a field, whatever the case of its name.
func httpValues(header map[string][]string, name string) (values []string) {
	for k, v := range header {
		if strings.EqualFold(k, name) {
			values = append(values, v...)
		}
	}
	return values
}

// httpLists reports whether a comma-separated field has this element.
func httpLists(header map[string][]string, name, element string) bool {
	for _, v := range httpValues(header, name) {
		for e := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.TrimSpace(e), element) {
				return true
			}
		}
	}
	return false
}
