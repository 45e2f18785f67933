package coapmsg

import "github.com/plgd-dev/go-coap/v3/message"

// Class says how OSCORE treats an option (RFC 8613, Sections 4 and 4.1).
type Class uint8

const (
	// ClassE options are encrypted and integrity protected (Inner).
	ClassE Class = 1 << iota
	// ClassI options are integrity protected only. No option of RFC 8613 is.
	ClassI
	// ClassU options are unprotected (Outer).
	ClassU
	// ClassEU options may occur both Inner and Outer, with a meaning of their
	// own in either place.
	ClassEU = ClassE | ClassU
)

// ClassOf gives the class of an option: RFC 8613, Figure 5, and for later
// options their own documents (Hop-Limit RFC 8768, Q-Block RFC 9177, EDHOC
// RFC 9668, Echo and Request-Tag RFC 9175). Any other is ClassE.
func ClassOf(id message.OptionID) Class {
	switch id {
	case message.URIHost, message.URIPort, OSCORE, message.ProxyURI, message.ProxyScheme, HopLimit, EDHOC:
		return ClassU
	case message.Observe, message.MaxAge, message.Block1, message.Block2, message.Size1, message.Size2,
		NoResponse, Echo, RequestTag, QBlock1, QBlock2:
		return ClassEU
	}
	return ClassE
}
