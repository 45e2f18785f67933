package coapmsg

import (
	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// Codes of signalling messages, which only travel over reliable transports
// (RFC 8323, Section 5.1).
const (
	CSM     codes.Code = 7<<5 | 1
	Ping    codes.Code = 7<<5 | 2
	Pong    codes.Code = 7<<5 | 3
	Release codes.Code = 7<<5 | 4
	Abort   codes.Code = 7<<5 | 5
)

// Options of signalling messages. Each code has a number space of its own
// (RFC 8323, Section 5.2).
const (
	CSMMaxMessageSize      message.OptionID = 2 // RFC 8323, Section 5.3.1
	CSMBlockWiseTransfer   message.OptionID = 4 // RFC 8323, Section 5.3.2
	CSMExtendedTokenLength message.OptionID = 6 // RFC 8974, Section 2.2.1

	PingCustody message.OptionID = 2 // RFC 8323, Section 5.4.1; of Pong too

	ReleaseAlternativeAddress message.OptionID = 2 // RFC 8323, Section 5.5
	ReleaseHoldOff            message.OptionID = 4

	AbortBadCSMOption message.OptionID = 2 // RFC 8323, Section 5.6
)

// BaseMessageSize is the longest message, in bytes, that a peer can be sent
// before it has said otherwise (RFC 8323, Section 5.3.1).
const BaseMessageSize = 1152

// IsSignal reports whether c is the code of a signalling message, class 7.
func IsSignal(c codes.Code) bool { return c <= 0xff && c>>5 == 7 }
