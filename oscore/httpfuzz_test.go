package oscore

import (
	"testing"

	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// FuzzHTTP maps any HTTP request and response. What is mapped comes back as it
// was after the way to the other side.
func FuzzHTTP(f *testing.F) {
	f.Add("POST", "coap://h/a?b", "Oscore", "CSU", "application/oscore", 200, []byte("body"))
	f.Add("GET", "/a/b%2F?x&y=%26", "If-None-Match", `"01", "0203"`, "text/plain", 304, []byte{})
	f.Add("PUT", "/", "If-Match", "*", "application/coap-payload;cf=11542", 204, []byte("x"))
	f.Add("POST", "http://[::1]:80?", "Location", "/a//b?c", "application/json; charset=utf-8", 201, []byte("x"))
	f.Add("DELETE", "/%20", "Retry-After", "7", "application/senml+cbor", 503, []byte("x"))
	f.Add("GET", "/%20", "Cache-Control", "max-age=60", "application/cbor", 200, []byte("x"))
	f.Fuzz(func(t *testing.T, method, uri, name, value, media string, status int, body []byte) {
		header := map[string][]string{"Content-Type": {media}, name: {value}}
		if media == "" {
			delete(header, "Content-Type")
		}
		request, response := HTTPRequest{method, uri, header, body}, HTTPResponse{status, header, body}
		if m, err := RequestFromHTTP(request); err == nil {
			if r, err := RequestToHTTP(m); err == nil {
				equal(t, must(RequestFromHTTP(r))(t), m)
			}
		}
		if m, err := ResponseFromHTTP(response); err == nil {
			if r, err := ResponseToHTTP(m); err == nil {
				equal(t, must(ResponseFromHTTP(r))(t), m)
			}
		}
		if m, err := PlainRequestFromHTTP(request); err == nil {
			m = through(t, m)
			again := must(PlainRequestFromHTTP(must(PlainRequestToHTTP(m))(t)))(t)
			equal(t, through(t, again), m)
		}
		code, _ := httpMethod(method)
		if m, err := PlainResponseFromHTTP(response, code); err == nil {
			equal(t, must(PlainResponseFromHTTP(must(PlainResponseToHTTP(m, code))(t), code))(t), m)
		}
	})
}

// through takes a request apart and puts it together, as protection does.
func through(t *testing.T, m message.Message) message.Message {
	t.Helper()
	outer, plaintext, err := coapmsg.Split(m)
	if err != nil {
		t.Fatal(err)
	}
	inner, err := coapmsg.Join(message.Message{Code: codes.POST, Type: message.Unset, MessageID: -1, Options: outer}, plaintext)
	if err != nil {
		t.Fatal(err)
	}
	return inner
}
