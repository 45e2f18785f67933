package coapmsg

import "github.com/plgd-dev/go-coap/v3/message/codes"

// Codes that go-coap does not name.
const (
	FETCH  codes.Code = 5 // RFC 8132, Section 2
	PATCH  codes.Code = 6 // RFC 8132, Section 3
	IPATCH codes.Code = 7 // RFC 8132, Section 3

	Conflict            codes.Code = 4<<5 | 9  // 4.09, RFC 8132, Section 3.4
	UnprocessableEntity codes.Code = 4<<5 | 22 // 4.22, RFC 8132, Section 3.4
	HopLimitReached     codes.Code = 5<<5 | 8  // 5.08, RFC 8768, Section 3
)

// IsRequest reports whether c is a request code, 0.01 to 0.31
// (RFC 7252, Section 12.1).
func IsRequest(c codes.Code) bool { return c >= 1 && c < 1<<5 }

// IsResponse reports whether c is a response code, of class 2, 4 or 5
// (RFC 7252, Section 12.1).
func IsResponse(c codes.Code) bool {
	if c > 0xff {
		return false
	}
	class := c >> 5
	return class == 2 || class == 4 || class == 5
}

// IsSuccess reports whether c is a response code of class 2.
func IsSuccess(c codes.Code) bool { return c <= 0xff && c>>5 == 2 }

// CodeString gives c in dotted form, such as "4.01".
func CodeString(c codes.Code) string {
	d := c & 0x1f
	return string([]byte{'0' + byte(c>>5&7), '.', '0' + byte(d/10), '0' + byte(d%10)})
}
