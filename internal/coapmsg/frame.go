package coapmsg

import (
	"encoding/binary"
	"fmt"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// FrameSize tells the size of the CoAP over TCP message that b begins with
// (RFC 8323, Section 3.2), or how many bytes of it are needed to tell: then size
// is 0. The size counts everything from the first byte; nothing but the fields
// for lengths is looked at. A token length field of 9 to 12 or 15 is ErrFormat.
func FrameSize(b []byte) (size uint64, need int, err error) {
	if len(b) < 1 {
		return 0, 1, nil
	}
	lenExt := 0
	if n := b[0] >> 4; n >= 13 {
		lenExt = 1 << (n - 13)
	}
	tkl := b[0] & 0x0f
	tokenExt := 0
	switch {
	case tkl == 13, tkl == 14:
		tokenExt = int(tkl) - 12
	case tkl > message.MaxTokenSize:
		return 0, 0, fmt.Errorf("%w: token length field %d", ErrFormat, tkl)
	}
	head := 1 + lenExt + 1 // up to and with the code
	if len(b) < head+tokenExt {
		return 0, head + tokenExt, nil
	}
	token, _, err := TokenLength(tkl, b[head:])
	if err != nil {
		return 0, 0, err
	}
	return uint64(head+tokenExt+token) + frameLength(b), 0, nil
}

// frameLength is the length of options and payload; b holds the whole field.
func frameLength(b []byte) uint64 {
	switch n := b[0] >> 4; n {
	case 13:
		return 13 + uint64(b[1])
	case 14:
		return 269 + uint64(binary.BigEndian.Uint16(b[1:]))
	case 15:
		return 65805 + uint64(binary.BigEndian.Uint32(b[1:]))
	default:
		return uint64(n)
	}
}

// FrameHead reads code and token of a CoAP over TCP message and leaves its
// options alone; b is as long as FrameSize says. The token aliases b.
func FrameHead(b []byte) (codes.Code, message.Token, error) {
	code, token, _, err := cutFrame(b)
	return code, token, err
}

// FrameClaimsOSCORE is ClaimsOSCORE for the options of a CoAP over TCP message.
func FrameClaimsOSCORE(b []byte) bool {
	_, _, rest, err := cutFrame(b)
	return err == nil && ClaimsOSCORE(rest)
}

func cutFrame(b []byte) (code codes.Code, token message.Token, rest []byte, err error) {
	size, need, err := FrameSize(b)
	if err != nil {
		return 0, nil, nil, err
	}
	if need > 0 || size != uint64(len(b)) {
		return 0, nil, nil, fmt.Errorf("%w: frame of %d bytes in %d", ErrFormat, size, len(b))
	}
	at := 1
	if n := b[0] >> 4; n >= 13 {
		at += 1 << (n - 13)
	}
	token, rest, err = cutToken(b[0]&0x0f, b[at+1:])
	return codes.Code(b[at]), token, rest, err
}

// ParseFrame reads exactly one CoAP over TCP message (RFC 8323, Section 3.2):
// b is as long as FrameSize says. There is no type and no Message ID. Token,
// option values and payload alias b. The options of signalling messages (class
// 7) come as they are; their numbers mean something else (Section 5.2). An
// empty message may have content, which is of no meaning (Section 3.4) and is
// left out.
func ParseFrame(b []byte) (message.Message, error) {
	m := message.Message{Type: message.Unset, MessageID: -1}
	code, token, rest, err := cutFrame(b)
	if err != nil || code == codes.Empty {
		return m, err
	}
	m.Code, m.Token = code, token
	m.Options, m.Payload, err = ParseOptions(rest)
	return m, err
}

// AppendFrame appends m as it travels over TCP (RFC 8323, Section 3.2). Type
// and Message ID do not count. ErrValue says what cannot be encoded; dst is
// then returned as it was.
func AppendFrame(dst []byte, m message.Message) ([]byte, error) {
	switch {
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
	// The options are written behind the longest possible head and then moved
	// up: their size is not known before.
	const maxHead = 1 + 4 + 1
	start := len(dst)
	if dst == nil {
		dst = make([]byte, 0, maxHead+2+len(m.Token)+sizeOptions(m.Options, m.Payload))
	}
	dst = append(dst, make([]byte, maxHead)...)
	dst = appendToken(dst, m.Token)
	body := len(dst)
	dst = AppendOptions(dst, m.Options, m.Payload)
	length := uint64(len(dst) - body)
	if length > 65805+0xffffffff {
		return dst[:start], fmt.Errorf("%w: message of %d bytes", ErrValue, length)
	}
	tkl, _ := tokenField(len(m.Token))
	head := make([]byte, 0, maxHead)
	switch {
	case length < 13:
		head = append(head, byte(length)<<4|tkl)
	case length < 269:
		head = append(head, 13<<4|tkl, byte(length-13))
	case length < 65805:
		head = binary.BigEndian.AppendUint16(append(head, 14<<4|tkl), uint16(length-269))
	default:
		head = binary.BigEndian.AppendUint32(append(head, 15<<4|tkl), uint32(length-65805))
	}
	head = append(head, byte(m.Code))
	copy(dst[start:], head)
	n := copy(dst[start+len(head):], dst[start+maxHead:])
	return dst[:start+len(head)+n], nil
}
