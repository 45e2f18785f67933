package oscore

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// statusOf is the HTTP status of a CoAP code (RFC 8075, Section 7), 0 if the
// two do not determine each other: 4.01, 4.02, 4.05, 5.05 and 5.08 share a
// status with others.
func statusOf(c codes.Code, method codes.Code, body bool) int {
	success := 204
	if body {
		success = 200
	}
	switch c {
	case codes.Created:
		return 201
	case codes.Deleted:
		if method == codes.DELETE {
			return success
		}
	case codes.Valid:
		if method == codes.GET && !body {
			return 304
		}
	case codes.Changed:
		if method == codes.POST || method == codes.PUT || method == coapmsg.PATCH {
			return success
		}
	case codes.Content:
		if method == codes.GET {
			return 200
		}
	case codes.BadRequest, codes.Forbidden, codes.NotFound, codes.NotAcceptable, coapmsg.Conflict,
		codes.PreconditionFailed, codes.RequestEntityTooLarge, codes.UnsupportedMediaType, coapmsg.UnprocessableEntity, codes.TooManyRequests,
		codes.InternalServerError, codes.NotImplemented, codes.BadGateway, codes.ServiceUnavailable, codes.GatewayTimeout:
		return int(c>>5)*100 + int(c&31)
	}
	return 0
}

// codeOf is the inverse of statusOf.
func codeOf(status int, method codes.Code, body bool) (codes.Code, error) {
	c := codes.Code(status/100<<5 | status%100)
	switch {
	case status < 200 || status > 599 || status%100 > 31:
		c = 0
	case status == 201:
		c = codes.Created
	case status == 304:
		c = codes.Valid
	case status == 200 || status == 204:
		switch method {
		case codes.GET:
			c = codes.Content
		case codes.DELETE:
			c = codes.Deleted
		default:
			c = codes.Changed
		}
	}
	if c == 0 || statusOf(c, method, body) != status {
		return 0, fmt.Errorf("%w: status %d of a request with code %s", ErrHTTP, status, coapmsg.CodeString(method))
	}
	return c, nil
}

// PlainResponseFromHTTP translates an HTTP response to a request with this
// CoAP method into the CoAP response to protect: codes of RFC 8075, Section 7,
// as far as they are reversible, Content-Type, ETag in hexadecimal,
// Cache-Control with a max-age or, in a 503, Retry-After, and Location with an
// absolute path.
func PlainResponseFromHTTP(r HTTPResponse, method codes.Code) (message.Message, error) {
	code, err := codeOf(r.Status, method, len(r.Body) > 0)
	if err != nil {
		return message.Message{}, err
	}
	if err := refuseFields(r.Header); err != nil {
		return message.Message{}, err
	}
	opts, err := appendMedia(nil, r.Header, "Content-Type", message.ContentFormat)
	if err != nil {
		return message.Message{}, err
	}
	if values := httpValues(r.Header, "Etag"); len(values) > 0 {
		tag, err := parseTag(strings.Join(values, ","))
		if err != nil {
			return message.Message{}, err
		}
		opts = coapmsg.Insert(opts, message.Option{ID: message.ETag, Value: tag})
	}
	field, prefix := freshness(code)
	if values := httpValues(r.Header, field); len(values) > 0 {
		seconds, ok := strings.CutPrefix(strings.Join(values, ","), prefix)
		n, err := decimal(seconds, 32)
		if !ok || err != nil {
			return message.Message{}, fmt.Errorf("%w: %s %q", ErrHTTP, field, values)
		}
		opts = coapmsg.Insert(opts, message.Option{ID: message.MaxAge, Value: coapmsg.EncodeUint(n)})
	}
	if values := httpValues(r.Header, "Location"); len(values) > 0 {
		base, path, query, err := httpTarget(strings.Join(values, ","))
		if err != nil || base != "" || code != codes.Created {
			return message.Message{}, fmt.Errorf("%w: location %q", ErrHTTP, values)
		}
		location, err := fromReference(nil, message.LocationPath, message.LocationQuery, path, query)
		if err != nil {
			return message.Message{}, err
		}
		for _, o := range location {
			opts = coapmsg.Insert(opts, o)
		}
	}
	if len(opts) > coapmsg.MaxOptions {
		return message.Message{}, fmt.Errorf("%w: %w", ErrHTTP, coapmsg.ErrTooManyOptions)
	}
	return message.Message{Code: code, Type: message.Unset, MessageID: -1, Options: opts, Payload: r.Body}, nil
}

// freshness is the field that carries Max-Age (RFC 8075, Section 7, note 9),
// and what stands before the seconds.
func freshness(c codes.Code) (field, prefix string) {
	if c == codes.ServiceUnavailable {
		return "Retry-After", ""
	}
	return "Cache-Control", "max-age="
}

// PlainResponseToHTTP translates a CoAP response, as UnprotectResponse gives it
// for a request with this CoAP method, into an HTTP response; the inverse of
// PlainResponseFromHTTP.
func PlainResponseToHTTP(m message.Message, method codes.Code) (HTTPResponse, error) {
	r := HTTPResponse{Status: statusOf(m.Code, method, len(m.Payload) > 0), Header: map[string][]string{}, Body: m.Payload}
	if r.Status == 0 {
		return HTTPResponse{}, fmt.Errorf("%w: code %s for a request with code %s", ErrHTTP, coapmsg.CodeString(m.Code), coapmsg.CodeString(method))
	}
	location := false
	for _, o := range m.Options {
		var field, value string
		var err error
		switch o.ID {
		case message.ContentFormat:
			field = "Content-Type"
			value, err = mediaType(o.Value)
		case message.ETag:
			field = "Etag"
			value, err = entityTag(o.Value)
		case message.MaxAge:
			n, fault := coapmsg.DecodeUint(o.Value)
			if fault != nil {
				err = fmt.Errorf("%w: max-age %w", ErrHTTP, fault)
			}
			field, value = freshness(m.Code)
			value += strconv.FormatUint(uint64(n), 10)
		case message.LocationPath, message.LocationQuery:
			location = true
			continue
		default:
			err = fmt.Errorf("%w: option %d", ErrHTTP, uint16(o.ID))
		}
		if err == nil && len(r.Header[field]) > 0 {
			err = fmt.Errorf("%w: two options %d", ErrHTTP, uint16(o.ID))
		}
		if err != nil {
			return HTTPResponse{}, err
		}
		r.Header[field] = []string{value}
	}
	if location {
		ref, err := httpReference(m.Options, message.LocationPath, message.LocationQuery)
		if err != nil || m.Code != codes.Created || strings.HasPrefix(ref, "//") {
			return HTTPResponse{}, fmt.Errorf("%w: location of code %s", ErrHTTP, coapmsg.CodeString(m.Code))
		}
		r.Header["Location"] = []string{ref}
	}
	return r, nil
}
