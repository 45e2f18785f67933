package coapmsg

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/plgd-dev/go-coap/v3/message"
)

// explodeProxyURI replaces Proxy-Uri by its scheme and authority, and its path
// and query by Uri-Path and Uri-Query options (RFC 8613, Section 4.1.3.3;
// RFC 7252, Section 6.4).
func explodeProxyURI(opts message.Options) (message.Options, error) {
	var raw []byte
	out := make(message.Options, 0, len(opts)+4)
	for _, o := range opts {
		switch o.ID {
		case message.ProxyURI:
			if raw != nil {
				return nil, fmt.Errorf("%w: given twice", ErrProxyURI)
			}
			raw = o.Value
		case message.URIHost, message.URIPort, message.URIPath, message.URIQuery, message.ProxyScheme:
			return nil, fmt.Errorf("%w: beside option %d", ErrProxyURI, uint16(o.ID))
		default:
			out = append(out, o)
		}
	}
	u, err := url.Parse(string(raw))
	if err != nil || u.Scheme == "" || u.Host == "" || u.Opaque != "" || u.User != nil ||
		u.Fragment != "" || strings.HasSuffix(string(raw), "#") {
		return nil, fmt.Errorf("%w: not an absolute uri with an authority", ErrProxyURI)
	}
	scheme, _, _ := strings.Cut(string(raw), ":")
	out = append(out, message.Option{ID: message.ProxyURI, Value: []byte(scheme + "://" + u.Host)})
	if path := u.EscapedPath(); path != "" && path != "/" {
		if out, err = appendSegments(out, message.URIPath, strings.Split(path[1:], "/")); err != nil {
			return nil, err
		}
	}
	if u.RawQuery != "" {
		if out, err = appendSegments(out, message.URIQuery, strings.Split(u.RawQuery, "&")); err != nil {
			return nil, err
		}
	}
	if len(out) > MaxOptions {
		return nil, ErrTooManyOptions
	}
	return sorted(out), nil
}

func appendSegments(opts message.Options, id message.OptionID, segments []string) (message.Options, error) {
	for _, s := range segments {
		v, err := url.PathUnescape(s)
		if err != nil || len(v) > 255 {
			return nil, fmt.Errorf("%w: unusable path or query", ErrProxyURI)
		}
		opts = append(opts, message.Option{ID: id, Value: []byte(v)})
	}
	return opts, nil
}
