package coapmsg

import "github.com/plgd-dev/go-coap/v3/message"

// Option numbers that go-coap does not name, and those this module speaks of
// most (IANA registry "CoAP Option Numbers").
const (
	OSCORE      message.OptionID = 9   // RFC 8613, Section 2
	HopLimit    message.OptionID = 16  // RFC 8768, Section 3
	QBlock1     message.OptionID = 19  // RFC 9177, Section 4.1
	EDHOC       message.OptionID = 21  // RFC 9668, Section 3.1
	QBlock2     message.OptionID = 31  // RFC 9177, Section 4.1
	Echo        message.OptionID = 252 // RFC 9175, Section 2.2.1
	NoResponse  message.OptionID = 258 // RFC 7967, Section 2
	RequestTag  message.OptionID = 292 // RFC 9175, Section 3.2.1
	RequestHash message.OptionID = 548 // draft-ietf-core-cacheable-oscore, Section 3.4.1
)

// MaxOptions is how many options one option list may hold. The largest use
// known is a long Uri-Path with queries; a datagram of one-byte options would
// else cost fifty times its size in memory.
const MaxOptions = 64

// MaxOptionValue is the longest option value CoAP can express, in bytes
// (RFC 7252, Section 3.1).
const MaxOptionValue = 65535 + 269

// definition says what this implementation knows of one option.
type definition struct {
	min, max   int  // length of the value, bytes
	repeatable bool // may occur more than once
}

// define looks an option up; ok is false if this implementation does not
// know it. Lengths are those of RFC 7252, Section 5.10, or of the document
// named beside the number.
func define(id message.OptionID) (d definition, ok bool) {
	switch id {
	case message.IfMatch:
		return definition{0, 8, true}, true
	case message.URIHost, message.ProxyScheme:
		return definition{1, 255, false}, true
	case message.ETag:
		return definition{1, 8, true}, true
	case message.IfNoneMatch:
		return definition{0, 0, false}, true
	case message.Observe, message.Block1, message.Block2:
		return definition{0, 3, false}, true
	case message.URIPort, message.ContentFormat, message.Accept:
		return definition{0, 2, false}, true
	case message.LocationPath, message.URIPath, message.URIQuery, message.LocationQuery:
		return definition{0, 255, true}, true
	case OSCORE:
		return definition{0, 255, false}, true
	case message.MaxAge, message.Size1, message.Size2:
		return definition{0, 4, false}, true
	case HopLimit:
		return definition{1, 1, false}, true
	case message.ProxyURI:
		return definition{1, 1034, false}, true
	case Echo:
		return definition{1, 40, false}, true
	case NoResponse:
		return definition{0, 1, false}, true
	case RequestTag:
		return definition{0, 8, true}, true
	case RequestHash:
		return definition{1, 255, false}, true
	}
	return definition{}, false
}

// IsCritical reports whether a receiver must refuse a message with this
// option if it does not know it (RFC 7252, Section 5.4.6).
func IsCritical(id message.OptionID) bool { return id&1 == 1 }
