package oscore

import (
	"fmt"
	"strings"

	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// An HTTP endpoint that speaks OSCORE (RFC 8613, Section 11.4) goes
//
//	HTTP ─ PlainRequestFromHTTP ─ ProtectRequest ─ RequestToHTTP ─► HTTP
//	HTTP ─ RequestFromHTTP ─ UnprotectRequest ─ PlainRequestToHTTP ─► HTTP
//
// and back with the functions for responses. The plain ones follow RFC 8075,
// Sections 5 to 7, for what comes out of the way there and back as it was, and
// refuse the rest with ErrHTTP.

// httpMethod is the CoAP code of a method, and methodHTTP its inverse: methods
// that mean the same on both sides.
func httpMethod(method string) (codes.Code, bool) {
	switch method {
	case "GET":
		return codes.GET, true
	case "POST":
		return codes.POST, true
	case "PUT":
		return codes.PUT, true
	case "DELETE":
		return codes.DELETE, true
	case "PATCH":
		return coapmsg.PATCH, true
	}
	return 0, false
}

func methodHTTP(c codes.Code) (string, bool) {
	for _, method := range []string{"GET", "POST", "PUT", "DELETE", "PATCH"} {
		if code, _ := httpMethod(method); code == c {
			return method, true
		}
	}
	return "", false
}

// refuseFields finds fields that change what a message means and that CoAP has
// no option for. Fields that describe the hop or the software do not travel.
func refuseFields(header map[string][]string) error {
	for _, name := range []string{"Content-Encoding", "Content-Range", "Range", "If-Range", "If-Modified-Since", "If-Unmodified-Since", "Expect", HTTPField} {
		if len(httpValues(header, name)) > 0 {
			return fmt.Errorf("%w: field %s", ErrHTTP, name)
		}
	}
	return nil
}

// PlainRequestFromHTTP translates an HTTP request into the CoAP request to
// protect: GET, POST, PUT, DELETE and PATCH; target, Content-Type, Accept,
// If-Match and If-None-Match with entity tags of up to eight bytes in
// hexadecimal. An absolute URI becomes a Proxy-Uri, which ProtectRequest takes
// apart. The message has no type, Message ID and token.
func PlainRequestFromHTTP(r HTTPRequest) (message.Message, error) {
	code, ok := httpMethod(r.Method)
	if !ok || code == codes.GET && len(r.Body) > 0 {
		return message.Message{}, fmt.Errorf("%w: method %q with %d bytes", ErrHTTP, r.Method, len(r.Body))
	}
	if err := refuseFields(r.Header); err != nil {
		return message.Message{}, err
	}
	opts, err := conditions(r.Header, code)
	if err != nil {
		return message.Message{}, err
	}
	if opts, err = appendMedia(opts, r.Header, "Content-Type", message.ContentFormat); err != nil {
		return message.Message{}, err
	}
	if opts, err = appendMedia(opts, r.Header, "Accept", message.Accept); err != nil {
		return message.Message{}, err
	}
	base, path, query, err := httpTarget(r.URI)
	if err != nil {
		return message.Message{}, err
	}
	target, err := fromReference(nil, message.URIPath, message.URIQuery, path, query)
	if err != nil {
		return message.Message{}, err
	}
	if len(opts)+len(target) >= coapmsg.MaxOptions {
		return message.Message{}, fmt.Errorf("%w: %w", ErrHTTP, coapmsg.ErrTooManyOptions)
	}
	if base != "" {
		target = message.Options{{ID: message.ProxyURI, Value: []byte(base + path + query)}}
	}
	for _, o := range target {
		opts = coapmsg.Insert(opts, o)
	}
	return message.Message{Code: code, Type: message.Unset, MessageID: -1, Options: opts, Payload: r.Body}, nil
}

// conditions reads If-Match and If-None-Match.
func conditions(header map[string][]string, code codes.Code) (message.Options, error) {
	var opts message.Options
	if values := httpValues(header, "If-Match"); len(values) == 1 && values[0] == "*" {
		opts = append(opts, message.Option{ID: message.IfMatch, Value: []byte{}})
	} else if tags, err := parseTags(values); err != nil {
		return nil, err
	} else {
		for _, tag := range tags {
			opts = append(opts, message.Option{ID: message.IfMatch, Value: tag})
		}
	}
	values := httpValues(header, "If-None-Match")
	if len(values) == 1 && values[0] == "*" {
		return append(opts, message.Option{ID: message.IfNoneMatch, Value: []byte{}}), nil
	}
	tags, err := parseTags(values)
	if err != nil {
		return nil, err
	}
	if len(tags) > 0 && code != codes.GET {
		return nil, fmt.Errorf("%w: if-none-match with entity tags", ErrHTTP)
	}
	for _, tag := range tags {
		opts = append(opts, message.Option{ID: message.ETag, Value: tag})
	}
	return opts, nil
}

// appendMedia reads a field that names one media type. An Accept of anything is
// none.
func appendMedia(opts message.Options, header map[string][]string, field string, id message.OptionID) (message.Options, error) {
	values := httpValues(header, field)
	if len(values) == 0 || field == "Accept" && len(values) == 1 && values[0] == "*/*" {
		return opts, nil
	}
	if len(values) > 1 {
		return nil, fmt.Errorf("%w: %d fields %s", ErrHTTP, len(values), field)
	}
	value, err := contentFormat(values[0])
	if err != nil {
		return nil, err
	}
	return coapmsg.Insert(opts, message.Option{ID: id, Value: value}), nil
}

// PlainRequestToHTTP translates a CoAP request, as UnprotectRequest gives it,
// into an HTTP request; the inverse of PlainRequestFromHTTP.
func PlainRequestToHTTP(m message.Message) (HTTPRequest, error) {
	method, ok := methodHTTP(m.Code)
	if !ok || m.Code == codes.GET && len(m.Payload) > 0 {
		return HTTPRequest{}, fmt.Errorf("%w: code %s with %d bytes", ErrHTTP, coapmsg.CodeString(m.Code), len(m.Payload))
	}
	r := HTTPRequest{Method: method, Header: map[string][]string{}, Body: m.Payload}
	var target message.Options
	for _, o := range m.Options {
		var field, value string
		var err error
		switch o.ID {
		case message.URIPath, message.URIQuery, message.URIHost, message.URIPort, message.ProxyURI, message.ProxyScheme:
			target = append(target, o)
			continue
		case message.ContentFormat:
			field = "Content-Type"
			value, err = mediaType(o.Value)
		case message.Accept:
			field = "Accept"
			value, err = mediaType(o.Value)
		case message.IfMatch:
			field, value = "If-Match", "*"
			if len(o.Value) > 0 {
				value, err = entityTag(o.Value)
			}
		case message.IfNoneMatch:
			field, value = "If-None-Match", "*"
		case message.ETag:
			field = "If-None-Match"
			value, err = entityTag(o.Value)
		default:
			err = fmt.Errorf("%w: option %d", ErrHTTP, uint16(o.ID))
		}
		if err != nil {
			return HTTPRequest{}, err
		}
		r.Header[field] = append(r.Header[field], value)
	}
	if err := unambiguous(r, m.Code); err != nil {
		return HTTPRequest{}, err
	}
	uri, err := httpURI(target)
	if err != nil {
		return HTTPRequest{}, err
	}
	r.URI = uri
	return r, nil
}

// unambiguous refuses fields that would not be read back as they were meant.
func unambiguous(r HTTPRequest, code codes.Code) error {
	for field, values := range r.Header {
		conditional := field == "If-Match" || field == "If-None-Match"
		if len(values) > 1 && (!conditional || strings.Contains(strings.Join(values, ""), "*")) {
			return fmt.Errorf("%w: %d values of %s", ErrHTTP, len(values), field)
		}
		if field == "If-None-Match" && values[0] != "*" && code != codes.GET {
			return fmt.Errorf("%w: etag in a request with code %s", ErrHTTP, coapmsg.CodeString(code))
		}
	}
	return nil
}

// httpURI composes the target of a plain request.
func httpURI(opts message.Options) (string, error) {
	if uri, ok := coapmsg.Get(opts, message.ProxyURI); ok && len(opts) == 1 {
		base, path, query, err := httpTarget(string(uri))
		if err != nil || base == "" {
			return "", fmt.Errorf("%w: proxy-uri", ErrHTTP)
		}
		if path == "" {
			path = "/"
		}
		return base + path + query, nil
	}
	base, err := httpBase(opts)
	if err != nil {
		return "", err
	}
	path, err := httpReference(opts, message.URIPath, message.URIQuery)
	if err == nil && base == "" && strings.HasPrefix(path, "//") {
		err = fmt.Errorf("%w: empty first path segment", ErrHTTP)
	}
	return base + path, err
}
