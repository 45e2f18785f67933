package coapmsg

import "errors"

// Errors of this package. Those returned by parsers may be wrapped with detail.
var (
	// ErrFormat reports bytes that are no CoAP message, no option list, no
	// plaintext or no OSCORE option (RFC 7252, Section 3; RFC 8613, Section 6.1).
	ErrFormat = errors.New("coap message format error")
	// ErrVersion reports a datagram of another CoAP version, which a receiver
	// ignores silently (RFC 7252, Section 3).
	ErrVersion = errors.New("unknown coap version")
	// ErrTooManyOptions reports a message with more than MaxOptions options.
	ErrTooManyOptions = errors.New("too many coap options")
	// ErrNested reports that a message to protect carries an OSCORE option
	// already (RFC 8613, Section 4.1.3.7).
	ErrNested = errors.New("message is protected already")
	// ErrValue reports a field that cannot be encoded.
	ErrValue = errors.New("value cannot be encoded in coap")
	// ErrProxyURI reports a Proxy-Uri that is no usable absolute URI, or that
	// stands beside options it excludes (RFC 7252, Section 5.10.2).
	ErrProxyURI = errors.New("unusable proxy-uri option")
)
