package oscore

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// coapPayload is the media type of a Content-Format with no media type of its
// own here; its parameter cf is the number (RFC 8075, Section 6.2).
const coapPayload = "application/coap-payload"

// mediaTypes are the media types known by number (IANA registry "CoAP
// Content-Formats").
func mediaTypes() map[uint32]string {
	return map[uint32]string{
		0:   "text/plain;charset=utf-8",
		40:  "application/link-format",
		41:  "application/xml",
		42:  "application/octet-stream",
		47:  "application/exi",
		50:  "application/json",
		51:  "application/json-patch+json",
		52:  "application/merge-patch+json",
		60:  "application/cbor",
		61:  "application/cwt",
		62:  "application/multipart-core",
		63:  "application/cbor-seq",
		110: "application/senml+json",
		112: "application/senml+cbor",
	}
}

// mediaType gives a Content-Format value as a media type.
func mediaType(value []byte) (string, error) {
	n, err := coapmsg.DecodeUint(value)
	if err != nil || n > 65535 || n == ContentFormat {
		return "", fmt.Errorf("%w: content format %x", ErrHTTP, value)
	}
	if s, ok := mediaTypes()[n]; ok {
		return s, nil
	}
	return coapPayload + ";cf=" + strconv.Itoa(int(n)), nil
}

// contentFormat reads a media type; "text/plain" is taken as UTF-8.
func contentFormat(s string) ([]byte, error) {
	s = strings.ToLower(strings.ReplaceAll(s, " ", ""))
	if cf, ok := strings.CutPrefix(s, coapPayload+";cf="); ok {
		n, err := decimal(cf, 16)
		if err != nil || n == ContentFormat {
			return nil, fmt.Errorf("%w: media type %q", ErrHTTP, s)
		}
		return coapmsg.EncodeUint(n), nil
	}
	if s == "text/plain" || s == `text/plain;charset="utf-8"` {
		return []byte{}, nil
	}
	for n, known := range mediaTypes() {
		if s == known {
			return coapmsg.EncodeUint(n), nil
		}
	}
	return nil, fmt.Errorf("%w: media type %q", ErrHTTP, s)
}

// decimal reads a number without sign and leading zeros.
func decimal(s string, bits int) (uint32, error) {
	n, err := strconv.ParseUint(s, 10, bits)
	if err != nil || strconv.FormatUint(n, 10) != s {
		return 0, fmt.Errorf("%w: number %q", ErrHTTP, s)
	}
	return uint32(n), nil
}

// entityTag gives an ETag or If-Match value as a strong entity tag: its bytes
// in hexadecimal. parseTag reads one.
func entityTag(value []byte) (string, error) {
	if len(value) == 0 || len(value) > 8 {
		return "", fmt.Errorf("%w: etag of %d bytes", ErrHTTP, len(value))
	}
	return `"` + hex.EncodeToString(value) + `"`, nil
}

func parseTag(s string) ([]byte, error) {
	inner, ok := strings.CutPrefix(s, `"`)
	inner, ok2 := strings.CutSuffix(inner, `"`)
	b, err := hex.DecodeString(inner)
	if !ok || !ok2 || err != nil || len(b) == 0 || len(b) > 8 || inner != strings.ToLower(inner) {
		return nil, fmt.Errorf("%w: entity tag %q", ErrHTTP, s)
	}
	return b, nil
}

// parseTags reads a list of entity tags.
func parseTags(values []string) (tags [][]byte, err error) {
	for _, v := range values {
		for s := range strings.SplitSeq(v, ",") {
			tag, err := parseTag(strings.TrimSpace(s))
			if err != nil {
				return nil, err
			}
			tags = append(tags, tag)
			if len(tags) > coapmsg.MaxOptions {
				return nil, fmt.Errorf("%w: %w", ErrHTTP, coapmsg.ErrTooManyOptions)
			}
		}
	}
	return tags, nil
}
