package oscore

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/plgd-dev/go-coap/v3/message"
)

// httpBase is scheme and authority of a request's target; empty if the message
// names neither.
func httpBase(opts message.Options) (string, error) {
	if uri, ok := coapmsg.Get(opts, message.ProxyURI); ok {
		base, path, _, hasQuery, err := coapmsg.SplitURI(string(uri))
		if err != nil || path != "" && path != "/" || hasQuery {
			return "", fmt.Errorf("%w: proxy-uri", ErrHTTP)
		}
		return base, nil
	}
	scheme, hasScheme := coapmsg.Get(opts, message.ProxyScheme)
	host, hasHost := coapmsg.Get(opts, message.URIHost)
	port, hasPort := coapmsg.Get(opts, message.URIPort)
	if !hasScheme && !hasHost && !hasPort {
		return "", nil
	}
	if !hasScheme || !hasHost {
		return "", fmt.Errorf("%w: scheme and host are not both given", ErrHTTP)
	}
	base := string(scheme) + "://" + string(host)
	if hasPort {
		n, err := coapmsg.DecodeUint(port)
		if err != nil || n > 65535 {
			return "", fmt.Errorf("%w: port", ErrHTTP)
		}
		base += ":" + strconv.Itoa(int(n))
	}
	if again, path, _, hasQuery, err := coapmsg.SplitURI(base); err != nil || again != base || path != "" || hasQuery {
		return "", fmt.Errorf("%w: scheme or host", ErrHTTP)
	}
	return base, nil
}

// httpTarget takes a request target apart: scheme and authority, empty for an
// absolute path; path; query with its question mark, if it has one.
func httpTarget(uri string) (base, path, query string, err error) {
	if strings.HasPrefix(uri, "/") && !strings.HasPrefix(uri, "//") {
		if strings.Contains(uri, "#") {
			return "", "", "", fmt.Errorf("%w: fragment in the target", ErrHTTP)
		}
		path, query, has := strings.Cut(uri, "?")
		if has {
			query = "?" + query
		}
		return "", path, query, nil
	}
	base, path, query, has, err := coapmsg.SplitURI(uri)
	if err != nil {
		return "", "", "", fmt.Errorf("%w: target %w", ErrHTTP, err)
	}
	if has {
		query = "?" + query
	}
	return base, path, query, nil
}

// httpReference gives path and query options as a path and query, and
// fromReference reads it; ids are those of the two options.
func httpReference(opts message.Options, pathID, queryID message.OptionID) (string, error) {
	path, err := coapmsg.Path(opts, pathID)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrHTTP, err)
	}
	if query, ok := coapmsg.Query(opts, queryID); ok {
		path += "?" + query
	}
	return path, nil
}

func fromReference(opts message.Options, pathID, queryID message.OptionID, path, query string) (message.Options, error) {
	opts, err := coapmsg.AppendPath(opts, pathID, path)
	if err == nil && query != "" {
		opts, err = coapmsg.AppendQuery(opts, queryID, query[1:])
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrHTTP, err)
	}
	return opts, nil
}
