package coapmsg

import (
	"fmt"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// ParseDatagram reads a CoAP message as it travels in a UDP datagram
// (RFC 7252, Section 3). Token, option values and payload alias b. A version
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
	tkl := int(b[0] & 0x0f)
	if tkl > message.MaxTokenSize || len(b) < 4+tkl {
		return m, fmt.Errorf("%w: token length %d", ErrFormat, tkl)
	}
	if m.Code == codes.Empty && len(b) > 4 {
		return m, fmt.Errorf("%w: empty message with content", ErrFormat)
	}
	if tkl > 0 {
		m.Token = b[4 : 4+tkl : 4+tkl]
	}
	var err error
	m.Options, m.Payload, err = ParseOptions(b[4+tkl:])
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
	case len(m.Token) > message.MaxTokenSize:
		return dst, fmt.Errorf("%w: token of %d bytes", ErrValue, len(m.Token))
	case m.Code == codes.Empty && len(m.Token)+len(m.Options)+len(m.Payload) > 0:
		return dst, fmt.Errorf("%w: empty message with content", ErrValue)
	}
	if err := checkOptions(m.Options); err != nil {
		return dst, err
	}
	if dst == nil {
		dst = make([]byte, 0, 4+len(m.Token)+sizeOptions(m.Options, m.Payload))
	}
	dst = append(dst, 1<<6|byte(m.Type)<<4|byte(len(m.Token)), byte(m.Code), byte(m.MessageID>>8), byte(m.MessageID))
	dst = append(dst, m.Token...)
	return AppendOptions(dst, m.Options, m.Payload), nil
}
