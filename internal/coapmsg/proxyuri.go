package coapmsg

import (
	"fmt"

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
	base, path, query, hasQuery, err := SplitURI(string(raw))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrProxyURI, err)
	}
	out = append(out, message.Option{ID: message.ProxyURI, Value: []byte(base)})
	if out, err = AppendPath(out, message.URIPath, path); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrProxyURI, err)
	}
	if hasQuery {
		if out, err = AppendQuery(out, message.URIQuery, query); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrProxyURI, err)
		}
	}
	if len(out) > MaxOptions {
		return nil, ErrTooManyOptions
	}
	return sorted(out), nil
}
