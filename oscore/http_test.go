package oscore

import (
	"strings"
	"testing"

	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// oscoreRequest has the option of the example in RFC 8613, Section 11.5.
func oscoreRequest(option ...message.Option) message.Message {
	m := message.Message{Code: codes.POST, Type: message.Unset, MessageID: -1, Payload: []byte{9, 7, 1, 0x13, 0x61}}
	m.Options = message.Options{{ID: coapmsg.OSCORE, Value: []byte{0x09, 0x25}}}
	for _, o := range option {
		m.Options = coapmsg.Insert(m.Options, o)
	}
	return m
}

func field(value string) map[string][]string {
	return map[string][]string{"OSCORE": {value}, "Content-Type": {"application/oscore"}}
}

func TestRequestToHTTP(t *testing.T) {
	t.Run("OS-11.2-1,OS-11.1-1 the example of RFC 8613", func(t *testing.T) {
		r, err := RequestToHTTP(oscoreRequest(option(message.ProxyURI, "http://server.url")))
		if err != nil {
			t.Fatal(err)
		}
		equal(t, r, HTTPRequest{
			Method: "POST", URI: "http://server.url/", Body: []byte{9, 7, 1, 0x13, 0x61},
			Header: map[string][]string{"Oscore": {"CSU"}, "Content-Type": {"application/oscore"}, "Cache-Control": {"no-cache"}},
		})
	})
	t.Run("OS-11.1-1 a POST whatever the outer code, without what serves CoAP hops", func(t *testing.T) {
		m := oscoreRequest(option(message.Observe, ""), option(message.MaxAge, ""), option(coapmsg.HopLimit, "\x05"), option(message.ContentFormat, "\x27\x11"))
		m.Code = coapmsg.FETCH
		r := must(RequestToHTTP(m))(t)
		equal(t, []any{r.Method, r.URI, len(r.Header)}, []any{"POST", "/", 3})
	})
	t.Run("scheme, host and port apart", func(t *testing.T) {
		r := must(RequestToHTTP(oscoreRequest(option(message.URIHost, "h"), option(message.URIPort, "\x16\x33"), option(message.ProxyScheme, "coap"))))(t)
		equal(t, r.URI, "coap://h:5683/")
		r = must(RequestToHTTP(oscoreRequest(option(message.URIHost, "h"), option(message.ProxyScheme, "coap"))))(t)
		equal(t, r.URI, "coap://h/")
	})
	none := oscoreRequest()
	none.Options = nil
	for name, m := range map[string]message.Message{
		"a response":                 edit(t, oscoreRequest(), func(m *message.Message) { m.Code = codes.Changed }),
		"no OSCORE option":           none,
		"two OSCORE options":         oscoreRequest(option(coapmsg.OSCORE, "")),
		"no payload":                 edit(t, oscoreRequest(), func(m *message.Message) { m.Payload = nil }),
		"a malformed option":         edit(t, oscoreRequest(), func(m *message.Message) { m.Options[0].Value = []byte{0} }),
		"a Proxy-Uri with a path":    oscoreRequest(option(message.ProxyURI, "http://h/a")),
		"a Proxy-Uri with a query":   oscoreRequest(option(message.ProxyURI, "http://h/?a")),
		"a host without scheme":      oscoreRequest(option(message.URIHost, "h")),
		"a scheme without host":      oscoreRequest(option(message.ProxyScheme, "coap")),
		"a host with more in it":     oscoreRequest(option(message.ProxyScheme, "coap"), option(message.URIHost, "h/a")),
		"a port that cannot be read": oscoreRequest(option(message.ProxyScheme, "coap"), option(message.URIHost, "h"), option(message.URIPort, "12345")),
	} {
		t.Run("refused: "+name, func(t *testing.T) {
			_, err := RequestToHTTP(m)
			wantErr(t, err, ErrHTTP)
		})
	}
}

func TestRequestFromHTTP(t *testing.T) {
	t.Run("OS-11.3-1,OS-11.3-2 the example of RFC 8613", func(t *testing.T) {
		m := must(RequestFromHTTP(HTTPRequest{Method: "POST", URI: "coap://server.url/", Header: field("CSU"), Body: []byte("body")}))(t)
		want := oscoreRequest(option(message.ProxyURI, "coap://server.url"))
		want.Payload = []byte("body")
		equal(t, m, want)
	})
	t.Run("OS-11.3-1 AA is an empty option", func(t *testing.T) {
		m := must(RequestFromHTTP(HTTPRequest{Method: "POST", URI: "/", Header: field("AA"), Body: []byte("body")}))(t)
		equal(t, m.Options, message.Options{{ID: coapmsg.OSCORE, Value: []byte{}}})
	})
	t.Run("OS-11.1-2 other fields of the hop do not matter", func(t *testing.T) {
		header := field("CSU")
		header["Connection"], header["User-Agent"] = []string{"keep-alive, x-oscore"}, []string{"x"}
		must(RequestFromHTTP(HTTPRequest{Method: "POST", URI: "/", Header: header, Body: []byte("body")}))(t)
	})
	t.Run("OS-11.3-2 neither Content-Format nor 10001", func(t *testing.T) {
		m := must(RequestFromHTTP(HTTPRequest{Method: "POST", URI: "/", Header: field("CSU"), Body: []byte("body")}))(t)
		equal(t, coapmsg.Has(m.Options, message.ContentFormat), false)
	})
	base := func() HTTPRequest {
		return HTTPRequest{Method: "POST", URI: "/", Header: field("CSU"), Body: []byte("body")}
	}
	for name, change := range map[string]func(*HTTPRequest){
		"OS-11.1-1 another method":                      func(r *HTTPRequest) { r.Method = "GET" },
		"OS-11.1-1 another Content-Type":                func(r *HTTPRequest) { r.Header["Content-Type"] = []string{"text/plain"} },
		"OS-11.1-1 no Content-Type":                     func(r *HTTPRequest) { delete(r.Header, "Content-Type") },
		"OS-11.1-1 no body":                             func(r *HTTPRequest) { r.Body = nil },
		"OS-11.1-2 an empty value":                      func(r *HTTPRequest) { r.Header = field("") },
		"OS-11.1-2 one character":                       func(r *HTTPRequest) { r.Header = field("C") },
		"OS-11.1-2 padding":                             func(r *HTTPRequest) { r.Header = field("CSU=") },
		"OS-11.1-2 the other alphabet":                  func(r *HTTPRequest) { r.Header = field("C+U") },
		"OS-11.1-2 a space":                             func(r *HTTPRequest) { r.Header = field(" CSU") },
		"OS-11.1-2 a line break":                        func(r *HTTPRequest) { r.Header = field("CS\nU") },
		"OS-11.1-2 bits beyond the last byte":           func(r *HTTPRequest) { r.Header = field("CSV") },
		"OS-11.1-2 longer than an option":               func(r *HTTPRequest) { r.Header = field(strings.Repeat("A", 342)) },
		"OS-11.1-2 twice":                               func(r *HTTPRequest) { r.Header["oscore"] = []string{"CSU"} },
		"OS-11.1-2 not at all":                          func(r *HTTPRequest) { delete(r.Header, "OSCORE") },
		"OS-11.1-2 listed in Connection":                func(r *HTTPRequest) { r.Header["connection"] = []string{"close, oscore"} },
		"OS-11.1-2 announced as a trailer":              func(r *HTTPRequest) { r.Header["Trailer"] = []string{"OSCORE"} },
		"a target that is neither absolute nor a path":  func(r *HTTPRequest) { r.URI = "a" },
		"a target with user information":                func(r *HTTPRequest) { r.URI = "coap://u@h/" },
		"a path with a fragment, which never is a path": func(r *HTTPRequest) { r.URI = "/#a" },
	} {
		t.Run(name, func(t *testing.T) {
			r := base()
			change(&r)
			_, err := RequestFromHTTP(r)
			wantErr(t, err, ErrHTTP)
		})
	}
}

func TestResponseHTTP(t *testing.T) {
	response := message.Message{Code: codes.Changed, Type: message.Unset, MessageID: -1, Payload: []byte("body"), Options: message.Options{{ID: coapmsg.OSCORE, Value: []byte{}}}}
	t.Run("OS-11.2-1,OS-11.1-1 an empty option is AA, in a 200", func(t *testing.T) {
		r := must(ResponseToHTTP(response))(t)
		equal(t, r, HTTPResponse{
			Status: 200, Body: []byte("body"),
			Header: map[string][]string{"Oscore": {"AA"}, "Content-Type": {"application/oscore"}, "Cache-Control": {"no-cache"}},
		})
		equal(t, must(ResponseFromHTTP(r))(t), response)
	})
	t.Run("OS-11.1-1 a 200 whatever the outer code", func(t *testing.T) {
		m := response
		m.Code = codes.Content
		equal(t, must(ResponseToHTTP(m))(t).Status, 200)
	})
	t.Run("OS-11.1-1 another status with the field", func(t *testing.T) {
		_, err := ResponseFromHTTP(HTTPResponse{Status: 204, Header: field("AA"), Body: []byte("body")})
		wantErr(t, err, ErrHTTP)
	})
	t.Run("OS-8.4-5 a response without the field is not protected", func(t *testing.T) {
		_, err := ResponseFromHTTP(HTTPResponse{Status: 200, Header: map[string][]string{"Content-Type": {"application/oscore"}}, Body: []byte("body")})
		wantErr(t, err, ErrNotProtected)
	})
	t.Run("no OSCORE response", func(t *testing.T) {
		for _, m := range []message.Message{oscoreRequest(), content("x")} {
			_, err := ResponseToHTTP(m)
			wantErr(t, err, ErrHTTP)
		}
	})
	t.Run("OS-11.1-4 what passes through both mappings keeps its field", func(t *testing.T) {
		for _, value := range []string{"AA", "CSU", "AQc", "GQUFRGFsZWs"} {
			r := HTTPRequest{Method: "POST", URI: "coap://h/", Header: field(value), Body: []byte("body")}
			again := must(RequestToHTTP(must(RequestFromHTTP(r))(t)))(t)
			equal(t, []any{again.Header["Oscore"], again.URI, again.Body}, []any{[]string{value}, r.URI, r.Body})
		}
	})
}

// TestHTTPEndpoints goes the ways of RFC 8613, Sections 11.5 and 11.6.
func TestHTTPEndpoints(t *testing.T) {
	t.Run("OS-11.4-1 HTTP client and CoAP server", func(t *testing.T) {
		client, server := pair(t, testParams())
		plain := must(PlainRequestFromHTTP(HTTPRequest{Method: "GET", URI: "coap://server.url/orders?a=b", Header: map[string][]string{"Accept": {"text/plain"}, "User-Agent": {"x"}}}))(t)
		protected, cx, err := client.ProtectRequest(plain, RequestOptions{})
		if err != nil {
			t.Fatal(err)
		}
		sent := must(RequestToHTTP(protected))(t)
		equal(t, sent.URI, "coap://server.url/")

		inner, sx, err := server.UnprotectRequest(must(RequestFromHTTP(sent))(t))
		if err != nil {
			t.Fatal(err)
		}
		equal(t, inner.Options, message.Options{option(message.URIPath, "orders"), option(message.URIQuery, "a=b"), option(message.Accept, ""), option(message.ProxyURI, "coap://server.url")})
		answer := respond(t, server, sx, message.Message{Code: codes.Content, Type: message.Unset, MessageID: -1, Options: message.Options{option(message.ContentFormat, ""), option(message.MaxAge, "\x3c")}, Payload: []byte("Exterminate! Exterminate!")}, ResponseOptions{})
		back := must(client.UnprotectResponse(must(ResponseFromHTTP(must(ResponseToHTTP(answer))(t)))(t), cx))(t)
		equal(t, must(PlainResponseToHTTP(back, codes.GET))(t), HTTPResponse{
			Status: 200, Header: map[string][]string{"Content-Type": {"text/plain;charset=utf-8"}, "Cache-Control": {"max-age=60"}}, Body: []byte("Exterminate! Exterminate!"),
		})
	})
	t.Run("OS-11.4-1 CoAP client and HTTP server", func(t *testing.T) {
		client, server := pair(t, testParams())
		protected, cx, err := client.ProtectRequest(message.Message{Code: codes.GET, Type: message.Unset, MessageID: -1, Options: message.Options{option(message.ProxyURI, "http://server.url/orders")}}, RequestOptions{})
		if err != nil {
			t.Fatal(err)
		}
		inner, sx, err := server.UnprotectRequest(must(RequestFromHTTP(must(RequestToHTTP(protected))(t)))(t))
		if err != nil {
			t.Fatal(err)
		}
		equal(t, must(PlainRequestToHTTP(inner))(t), HTTPRequest{Method: "GET", URI: "http://server.url/orders"})
		answer := must(PlainResponseFromHTTP(HTTPResponse{Status: 200, Header: map[string][]string{"content-type": {"text/plain"}, "Server": {"x"}}, Body: []byte("x")}, codes.GET))(t)
		sent := must(ResponseToHTTP(respond(t, server, sx, answer, ResponseOptions{})))(t)
		back := must(client.UnprotectResponse(must(ResponseFromHTTP(sent))(t), cx))(t)
		equal(t, back, message.Message{Code: codes.Content, Type: message.Unset, MessageID: -1, Options: message.Options{option(message.ContentFormat, "")}, Payload: []byte("x")})
	})
}
