package coapmsg

import (
	"fmt"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// ParseDatagram reads a CoAP message as it travels in a UDP datagram
// (RFC 7252, Section 3), with a token of up to MaxExtendedToken bytes (RFC 8974,
// Section 2.1). Token, option values and payload alias b. A version
// other than 1 is ErrVersion, every other fault ErrFormat or
// ErrTooManyOptions; then the returned message still holds type and Message
// ID if the first four bytes were there, so that a confirmable message can be
// rejected with a Reset (Section 4.2). The code's class is not judged.
func ParseDatagram(b []byte) (message.Message, error) {
	m := message.Message{Type: message.Unset, MessageID: -1}
	if len(b) < 4 {
		return m, fmt.Errorf("%w: %d bytes", ErrFormat, len(b))
	}
	if b[0]>>6 != 1 {
		return m, ErrVersion
	}
	m.Type = message.Type(b[0] >> 4 & 3)
	m.Code = codes.Code(b[1])
	m.MessageID = int32(b[2])<<8 | int32(b[3])
	if m.Code == codes.Empty && (len(b) > 4 || b[0]&0x0f != 0) {
		return m, fmt.Errorf("%w: empty message with content", ErrFormat)
	}
	token, rest, err := cutToken(b[0]&0x0f, b[4:])
	if err != nil {
		return m, err
	}
	m.Token = token
	m.Options, m.Payload, err = ParseOptions(rest)
	return m, err
}

// AppendDatagram appends m as it travels in a UDP datagram (RFC 7252,
// Section 3). Type and Message ID must be set. ErrValue says what cannot be
// encoded; dst is then returned as it was.
func AppendDatagram(dst []byte, m message.Message) ([]byte, error) {
	switch {
	case m.Type < message.Confirmable || m.Type > message.Reset:
		return dst, fmt.Errorf("%w: type %d", ErrValue, m.Type)
	case m.MessageID < 0 || m.MessageID > 0xffff:
		return dst, fmt.Errorf("%w: message id %d", ErrValue, m.MessageID)
	case m.Code > 0xff:
		return dst, fmt.Errorf("%w: code %d", ErrValue, uint16(m.Code))
	case m.Code == codes.Empty && len(m.Token)+len(m.Options)+len(m.Payload) > 0:
		return dst, fmt.Errorf("%w: empty message with content", ErrValue)
	}
	if err := checkToken(m.Token); err != nil {
		return dst, err
	}
	if err := checkOptions(m.Options); err != nil {
		return dst, err
	}
	tkl, ext := tokenField(len(m.Token))
	if dst == nil {
		dst = make([]byte, 0, 4+ext+len(m.Token)+sizeOptions(m.Options, m.Payload))
	}
	dst = append(dst, 1<<6|byte(m.Type)<<4|tkl, byte(m.Code), byte(m.MessageID>>8), byte(m.MessageID))
	dst = appendToken(dst, m.Token)
	return AppendOptions(dst, m.Options, m.Payload), nil
}
