package decode

import (
	"fmt"
	"io"
	"strings"

	"github.com/fxamacker/cbor/v2"
	"github.com/plgd-dev/go-coap/v3/message"

	"github.com/cohort-iot/cohort/internal/cborx"
	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// payload writes out the body of a message that is not protected, by its
// content format; without one, as text if it is an error's diagnostic.
func payload(w io.Writer, m message.Message) {
	v, has := coapmsg.Get(m.Options, message.ContentFormat)
	format, err := coapmsg.DecodeUint(v)
	if err != nil {
		has = false
	}
	if coapmsg.Has(m.Options, message.Block1) || coapmsg.Has(m.Options, message.Block2) {
		fmt.Fprintf(w, "  payload: %d bytes, part of a body: %s\n", len(m.Payload), hexOf(m.Payload))
		return
	}
	switch {
	case has && isCBOR(format):
		CBOR(w, m.Payload, parameterNames(format))
	case has && (format == 0 || format == 40 || format == 50), !has && m.Code >= 4<<5, coapmsg.IsSignal(m.Code):
		fmt.Fprintf(w, "  payload: %s\n", text(m.Payload))
	case has:
		fmt.Fprintf(w, "  payload: %d bytes: %s\n", len(m.Payload), hexOf(m.Payload))
	case cborx.Wellformed(m.Payload) == nil && m.Payload[0]>>5 >= 4:
		CBOR(w, m.Payload, nil)
	default:
		fmt.Fprintf(w, "  payload: %d bytes: %s\n", len(m.Payload), hexOf(m.Payload))
	}
}

// isCBOR says whether a content format is CBOR, or a sequence of it.
func isCBOR(format uint32) bool {
	switch format {
	case 16, 19, 60, 61, 64, 65, 101, 112, 257, 261, 262, 290, 297:
		return true
	}
	return false
}

// CBOR writes out an item or a sequence of items in diagnostic notation. The
// members of a map get a line each; those with an integer key that names knows
// get the name too.
func CBOR(w io.Writer, b []byte, names map[int64]string) {
	for first := true; len(b) > 0; first = false {
		item, rest, err := cborx.First(b)
		if err != nil {
			what := "is no CBOR"
			if !first {
				what = "ends with what is no CBOR"
			}
			fmt.Fprintf(w, "  payload %s: %v: %s\n", what, err, hexOf(b))
			return
		}
		if b = rest; !members(w, item, names) {
			fmt.Fprintf(w, "  payload: %s\n", diagnose(item))
		}
	}
}

// members writes a map, one member a line; false if item is none.
func members(w io.Writer, item []byte, names map[int64]string) bool {
	if item[0]>>5 != 5 || item[0]&31 == 31 {
		return false
	}
	n, rest, ok := count(item)
	if !ok {
		return false
	}
	var b strings.Builder
	b.WriteString("  payload: {\n")
	for range n {
		key, after, err := cborx.First(rest)
		if err != nil {
			return false
		}
		value, after, err := cborx.First(after)
		if err != nil {
			return false
		}
		rest = after
		name := ""
		var k int64
		if cbor.Unmarshal(key, &k) == nil && names[k] != "" {
			name = " / " + names[k] + " /"
		}
		fmt.Fprintf(&b, "    %s%s: %s\n", diagnose(key), name, diagnose(value))
	}
	b.WriteString("  }\n")
	_, _ = io.WriteString(w, b.String())
	return true
}

// count reads the head of a map: how many members it has, and where they begin.
func count(item []byte) (n uint64, rest []byte, ok bool) {
	low := item[0] & 31
	if low < 24 {
		return uint64(low), item[1:], true
	}
	size := 1 << (low - 24)
	if low > 27 || len(item) < 1+size {
		return 0, nil, false
	}
	for _, c := range item[1 : 1+size] {
		n = n<<8 | uint64(c)
	}
	return n, item[1+size:], true
}

func diagnose(item []byte) string {
	s, err := cbor.Diagnose(item)
	if err != nil {
		return hexOf(item)
	}
	return s
}
