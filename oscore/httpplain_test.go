package oscore

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

type fields = map[string][]string

func TestPlainRequests(t *testing.T) {
	for name, c := range map[string]struct {
		r HTTPRequest
		m message.Message
	}{
		"target and media types": {
			HTTPRequest{Method: "POST", URI: "/a/b%2Fc/?x=1&y", Header: fields{"Content-Type": {"application/cbor"}, "Accept": {"application/json"}}, Body: []byte("body")},
			message.Message{Code: codes.POST, Payload: []byte("body"), Options: message.Options{option(11, "a"), option(11, "b/c"), option(11, ""), option(12, "\x3c"), option(15, "x=1"), option(15, "y"), option(17, "\x32")}},
		},
		"a Content-Format without a media type": {
			HTTPRequest{Method: "PUT", URI: "/", Header: fields{"Content-Type": {"application/coap-payload;cf=11542"}}, Body: []byte("x")},
			message.Message{Code: codes.PUT, Payload: []byte("x"), Options: message.Options{option(12, "\x2d\x16")}},
		},
		"conditions": {
			HTTPRequest{Method: "PUT", URI: "/", Header: fields{"If-Match": {`"0a"`, `"0b0c"`}}},
			message.Message{Code: codes.PUT, Options: message.Options{option(1, "\x0a"), option(1, "\x0b\x0c")}},
		},
		"any":      {HTTPRequest{Method: "PATCH", URI: "/", Header: fields{"If-Match": {"*"}}}, message.Message{Code: coapmsg.PATCH, Options: message.Options{option(1, "")}}},
		"none":     {HTTPRequest{Method: "PUT", URI: "/", Header: fields{"If-None-Match": {"*"}}}, message.Message{Code: codes.PUT, Options: message.Options{option(5, "")}}},
		"validate": {HTTPRequest{Method: "GET", URI: "/", Header: fields{"If-None-Match": {`"01"`, `"02"`}}}, message.Message{Code: codes.GET, Options: message.Options{option(4, "\x01"), option(4, "\x02")}}},
		"proxy":    {HTTPRequest{Method: "DELETE", URI: "coap://h:61616/a?b"}, message.Message{Code: codes.DELETE, Options: message.Options{option(35, "coap://h:61616/a?b")}}},
	} {
		t.Run("OS-11.4-1 there and back: "+name, func(t *testing.T) {
			c.m.Type, c.m.MessageID = message.Unset, -1
			equal(t, must(PlainRequestFromHTTP(c.r))(t), c.m)
			equal(t, must(PlainRequestToHTTP(c.m))(t), c.r)
		})
	}
	for name, r := range map[string]HTTPRequest{
		"HEAD":                     {Method: "HEAD", URI: "/"},
		"a GET with body":          {Method: "GET", URI: "/", Body: []byte("x")},
		"Content-Encoding":         {Method: "GET", URI: "/", Header: fields{"content-encoding": {"gzip"}}},
		"an OSCORE field":          {Method: "POST", URI: "/", Header: fields{"OSCORE": {"AA"}}},
		"two Content-Types":        {Method: "PUT", URI: "/", Header: fields{"Content-Type": {"text/plain", "text/plain"}}},
		"an unknown media type":    {Method: "PUT", URI: "/", Header: fields{"Content-Type": {"text/html"}}},
		"application/oscore":       {Method: "PUT", URI: "/", Header: fields{"Content-Type": {"application/oscore"}}},
		"10001":                    {Method: "PUT", URI: "/", Header: fields{"Content-Type": {"application/coap-payload;cf=10001"}}},
		"a number too large":       {Method: "PUT", URI: "/", Header: fields{"Content-Type": {"application/coap-payload;cf=65536"}}},
		"a leading zero":           {Method: "PUT", URI: "/", Header: fields{"Content-Type": {"application/coap-payload;cf=050"}}},
		"a choice of media types":  {Method: "GET", URI: "/", Header: fields{"Accept": {"text/plain, */*"}}},
		"an entity tag too long":   {Method: "PUT", URI: "/", Header: fields{"If-Match": {`"001122334455667788"`}}},
		"a weak entity tag":        {Method: "PUT", URI: "/", Header: fields{"If-Match": {`W/"00"`}}},
		"an entity tag in capital": {Method: "PUT", URI: "/", Header: fields{"If-Match": {`"AA"`}}},
		"tags to not match":        {Method: "PUT", URI: "/", Header: fields{"If-None-Match": {`"00"`}}},
		"too many tags":            {Method: "PUT", URI: "/", Header: fields{"If-Match": {strings.Repeat(`"00",`, 70) + `"00"`}}},
		"too many options":         {Method: "PUT", URI: strings.Repeat("/a", 60), Header: fields{"If-Match": {strings.Repeat(`"00",`, 10) + `"00"`}}},
		"a path with dots":         {Method: "GET", URI: "/a/../b"},
		"a bad escape":             {Method: "GET", URI: "/?%zz"},
		"an authority alone":       {Method: "GET", URI: "//h/a"},
	} {
		t.Run("OS-11.4-1 no counterpart: "+name, func(t *testing.T) {
			_, err := PlainRequestFromHTTP(r)
			wantErr(t, err, ErrHTTP)
		})
	}
	for name, m := range map[string]message.Message{
		"FETCH":                 {Code: coapmsg.FETCH},
		"a GET with payload":    {Code: codes.GET, Payload: []byte("x")},
		"Observe":               get(option(message.Observe, "")),
		"Block2":                get(option(message.Block2, "")),
		"10001":                 {Code: codes.PUT, Options: message.Options{option(12, "\x27\x11")}},
		"two Accepts":           get(option(17, ""), option(17, "")),
		"an ETag in a PUT":      {Code: codes.PUT, Options: message.Options{option(4, "\x01")}},
		"any and one":           {Code: codes.PUT, Options: message.Options{option(1, ""), option(1, "\x01")}},
		"ETag beside none":      {Code: codes.GET, Options: message.Options{option(4, "\x01"), option(5, "")}},
		"an empty ETag":         get(option(4, "")),
		"a dot segment":         get(option(11, "..")),
		"a first empty segment": {Code: codes.GET, Options: message.Options{option(11, ""), option(11, "a")}},
		"one empty segment":     {Code: codes.GET, Options: message.Options{option(11, "")}},
		"two targets":           get(option(35, "coap://h/a")),
		"a bad Proxy-Uri":       {Code: codes.GET, Options: message.Options{option(35, "h")}},
	} {
		t.Run("OS-11.4-1 no counterpart in HTTP: "+name, func(t *testing.T) {
			_, err := PlainRequestToHTTP(m)
			wantErr(t, err, ErrHTTP)
		})
	}
	t.Run("OS-11.4-1 forms that mean the same", func(t *testing.T) {
		m := must(PlainRequestFromHTTP(HTTPRequest{Method: "GET", URI: "coap://h", Header: fields{"accept": {"*/*"}}}))(t)
		equal(t, must(PlainRequestToHTTP(m))(t).URI, "coap://h/")
		equal(t, string(must(contentFormat(`Text/Plain; charset="UTF-8"`))(t)), "")
	})
}

func TestPlainResponses(t *testing.T) {
	for name, c := range map[string]struct {
		method codes.Code
		r      HTTPResponse
		m      message.Message
	}{
		"content":      {codes.GET, HTTPResponse{Status: 200, Header: fields{"Content-Type": {"application/json"}, "Etag": {`"0102"`}, "Cache-Control": {"max-age=0"}}, Body: []byte("{}")}, message.Message{Code: codes.Content, Options: message.Options{option(4, "\x01\x02"), option(12, "\x32"), option(14, "")}, Payload: []byte("{}")}},
		"nothing":      {codes.GET, HTTPResponse{Status: 200}, message.Message{Code: codes.Content}},
		"valid":        {codes.GET, HTTPResponse{Status: 304, Header: fields{"Etag": {`"01"`}}}, message.Message{Code: codes.Valid, Options: message.Options{option(4, "\x01")}}},
		"changed":      {codes.PUT, HTTPResponse{Status: 204}, message.Message{Code: codes.Changed}},
		"changed, say": {codes.POST, HTTPResponse{Status: 200, Body: []byte("x")}, message.Message{Code: codes.Changed, Payload: []byte("x")}},
		"deleted":      {codes.DELETE, HTTPResponse{Status: 204}, message.Message{Code: codes.Deleted}},
		"created":      {codes.POST, HTTPResponse{Status: 201, Header: fields{"Location": {"/a/b?c"}}}, message.Message{Code: codes.Created, Options: message.Options{option(8, "a"), option(8, "b"), option(20, "c")}}},
		"busy":         {codes.GET, HTTPResponse{Status: 503, Header: fields{"Retry-After": {"30"}}, Body: []byte("later")}, message.Message{Code: codes.ServiceUnavailable, Options: message.Options{option(14, "\x1e")}, Payload: []byte("later")}},
		"not found":    {coapmsg.PATCH, HTTPResponse{Status: 404}, message.Message{Code: codes.NotFound}},
		"conflict":     {coapmsg.PATCH, HTTPResponse{Status: 409}, message.Message{Code: coapmsg.Conflict}},
	} {
		t.Run("OS-11.4-1 there and back: "+name, func(t *testing.T) {
			c.m.Type, c.m.MessageID = message.Unset, -1
			equal(t, must(PlainResponseFromHTTP(c.r, c.method))(t), c.m)
			equal(t, must(PlainResponseToHTTP(c.m, c.method))(t), c.r)
		})
	}
	t.Run("OS-11.4-1 every status is that of one code", func(t *testing.T) {
		for _, method := range []codes.Code{codes.GET, codes.POST, codes.PUT, codes.DELETE, coapmsg.PATCH} {
			for _, body := range []bool{false, true} {
				for status := range 700 {
					c, err := codeOf(status, method, body)
					if err == nil {
						equal(t, statusOf(c, method, body), status)
					}
				}
				for c := codes.Code(0); c < 256; c++ {
					if s := statusOf(c, method, body); s != 0 {
						equal(t, must(codeOf(s, method, body))(t), c)
					}
				}
			}
		}
	})
	for _, c := range []codes.Code{codes.Unauthorized, codes.BadOption, codes.MethodNotAllowed, codes.ProxyingNotSupported, codes.Continue, codes.GET} {
		t.Run(fmt.Sprintf("OS-11.4-1 no status of its own: %v", c), func(t *testing.T) {
			_, err := PlainResponseToHTTP(message.Message{Code: c}, codes.GET)
			wantErr(t, err, ErrHTTP)
		})
	}
	for name, r := range map[string]HTTPResponse{
		"a redirect":             {Status: 302, Header: fields{"Location": {"/a"}}},
		"a location elsewhere":   {Status: 201, Header: fields{"Location": {"http://h/a"}}},
		"a location with dots":   {Status: 201, Header: fields{"Location": {"/.."}}},
		"a location in a 200":    {Status: 200, Header: fields{"Location": {"/a"}}, Body: []byte("x")},
		"another directive":      {Status: 204, Header: fields{"Cache-Control": {"no-store"}}},
		"no number":              {Status: 204, Header: fields{"Cache-Control": {"max-age=-1"}}},
		"a date to retry at":     {Status: 503, Header: fields{"Retry-After": {"Fri, 31 Dec 1999 23:59:59 GMT"}}},
		"an entity tag in words": {Status: 204, Header: fields{"ETag": {`"v1"`}}},
		"a part":                 {Status: 206, Header: fields{"Content-Range": {"bytes 0-1/2"}}},
		"an unknown media type":  {Status: 200, Header: fields{"Content-Type": {"text/html"}}, Body: []byte("x")},
		"a trailing encoding":    {Status: 200, Header: fields{"Content-Encoding": {"gzip"}}, Body: []byte("x")},
		"a 204 with body":        {Status: 204, Body: []byte("x")},
		"no status at all":       {Status: 0},
		"too many options":       {Status: 201, Header: fields{"Location": {strings.Repeat("/a", 64)}, "Etag": {`"01"`}}},
	} {
		t.Run("OS-11.4-1 no counterpart: "+name, func(t *testing.T) {
			_, err := PlainResponseFromHTTP(r, codes.POST)
			wantErr(t, err, ErrHTTP)
		})
	}
	t.Run("OS-11.4-1 2.03 answers a GET, without payload", func(t *testing.T) {
		for _, m := range []message.Message{{Code: codes.Valid, Payload: []byte("x")}, {Code: codes.Valid}} {
			_, err := PlainResponseToHTTP(m, codes.PUT)
			wantErr(t, err, ErrHTTP)
		}
		_, err := PlainResponseToHTTP(message.Message{Code: codes.Valid, Payload: []byte("x")}, codes.GET)
		wantErr(t, err, ErrHTTP)
	})
	for name, opts := range map[string]message.Options{
		"Observe":             {option(message.Observe, "")},
		"two Max-Ages":        {option(14, ""), option(14, "\x01")},
		"a Max-Age too large": {option(14, "12345")},
		"an ETag too long":    {option(4, "123456789")},
		"a location":          {option(8, "a")},
		"an unknown option":   {option(9998, "a")},
	} {
		t.Run("OS-11.4-1 no counterpart in HTTP: "+name, func(t *testing.T) {
			_, err := PlainResponseToHTTP(content("x", opts...), codes.GET)
			wantErr(t, err, ErrHTTP)
		})
	}
}
