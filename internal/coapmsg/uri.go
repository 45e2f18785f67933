package coapmsg

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/plgd-dev/go-coap/v3/message"
)

// MaxURISegment is the longest segment of a path, or argument of a query, in
// bytes (RFC 7252, Section 5.10).
const MaxURISegment = 255

// AppendPath appends the segments of a percent-encoded absolute path as
// options of number id, Uri-Path or Location-Path (RFC 7252, Section 6.4).
// Nothing is appended for an empty path and for "/". ErrValue is returned for
// a segment that is too long or a dot segment, and for an illegal escape.
func AppendPath(opts message.Options, id message.OptionID, path string) (message.Options, error) {
	if path == "" || path == "/" {
		return opts, nil
	}
	if path[0] != '/' {
		return nil, fmt.Errorf("%w: path is not absolute", ErrValue)
	}
	return appendSegments(opts, id, path[1:], "/")
}

// AppendQuery appends the arguments of a percent-encoded query, without its
// question mark, as options of number id, Uri-Query or Location-Query. An empty
// query is one empty argument.
func AppendQuery(opts message.Options, id message.OptionID, query string) (message.Options, error) {
	return appendSegments(opts, id, query, "&")
}

func appendSegments(opts message.Options, id message.OptionID, s, sep string) (message.Options, error) {
	if n := strings.Count(s, sep); n >= MaxOptions {
		return nil, fmt.Errorf("%w: %d segments", ErrTooManyOptions, n+1)
	}
	for _, segment := range strings.Split(s, sep) {
		v, err := url.PathUnescape(segment)
		if err != nil || len(v) > MaxURISegment || sep == "/" && isDots(v) {
			return nil, fmt.Errorf("%w: segment of a uri", ErrValue)
		}
		opts = append(opts, message.Option{ID: id, Value: []byte(v)})
	}
	return opts, nil
}

// isDots reports a segment that no Uri-Path may have (RFC 7252, Section
// 5.10.1).
func isDots(v string) bool { return v == "." || v == ".." }

// Path gives the options of number id as a percent-encoded absolute path (RFC
// 7252, Section 6.5): "/" if there are none. ErrValue is returned for what no
// path can express: a dot segment, and a single empty segment.
func Path(opts message.Options, id message.OptionID) (string, error) {
	var b strings.Builder
	for _, o := range opts {
		if o.ID != id {
			continue
		}
		if isDots(string(o.Value)) {
			return "", fmt.Errorf("%w: dot segment", ErrValue)
		}
		b.WriteByte('/')
		appendEscaped(&b, o.Value, ":@")
	}
	switch {
	case b.Len() == 1:
		return "", fmt.Errorf("%w: single empty path segment", ErrValue)
	case b.Len() == 0:
		return "/", nil
	}
	return b.String(), nil
}

// Query gives the options of number id as a percent-encoded query without its
// question mark; ok is false if there are none.
func Query(opts message.Options, id message.OptionID) (query string, ok bool) {
	var b strings.Builder
	for _, o := range opts {
		if o.ID != id {
			continue
		}
		if ok {
			b.WriteByte('&')
		}
		ok = true
		appendEscaped(&b, o.Value, ":@/?")
	}
	return b.String(), ok
}

// appendEscaped writes v with everything escaped but unreserved characters,
// sub-delims other than "&", and those of more (RFC 7252, Section 6.5).
func appendEscaped(b *strings.Builder, v []byte, more string) {
	const hexDigits = "0123456789ABCDEF"
	for _, c := range v {
		plain := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
			strings.IndexByte("-._~!$'()*+,;=", c) >= 0 || strings.IndexByte(more, c) >= 0
		if plain {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', hexDigits[c>>4], hexDigits[c&15]})
		}
	}
}

// SplitURI takes an absolute URI with an authority apart: scheme and authority
// as they stand, path and query still percent-encoded, dot segments resolved
// (RFC 3986, Section 5.2.4). hasQuery tells an empty query from none. ErrValue
// is returned for anything else, for user information and for a fragment.
func SplitURI(uri string) (base, path, query string, hasQuery bool, err error) {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme == "" || u.Host == "" || u.Opaque != "" || u.User != nil || strings.Contains(uri, "#") {
		return "", "", "", false, fmt.Errorf("%w: not an absolute uri with nothing but an authority, path and query", ErrValue)
	}
	scheme, rest, _ := strings.Cut(uri, "://")
	authority := rest
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		authority = rest[:i]
	}
	u = new(url.URL).ResolveReference(u)
	return scheme + "://" + authority, u.EscapedPath(), u.RawQuery, u.RawQuery != "" || u.ForceQuery, nil
}
