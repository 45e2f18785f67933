package oscore

import (
	"testing"

	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// forward does to a request what a CoAP proxy does that knows nothing of
// OSCORE: it takes the target out, and uses a token, type and Message ID of its
// own.
func forward(t testing.TB, m message.Message) message.Message {
	t.Helper()
	m = edit(t, datagram(t, encode(t, m)), func(m *message.Message) {
		m.Options = coapmsg.Without(m.Options, message.ProxyURI)
		m.Options = coapmsg.Without(m.Options, message.ProxyScheme)
	})
	m.Token, m.Type, m.MessageID = []byte("proxy"), message.NonConfirmable, 4711
	return datagram(t, encode(t, m))
}

// forwardBack does the same to the response.
func forwardBack(t testing.TB, m message.Message, request message.Message) message.Message {
	t.Helper()
	m = datagram(t, encode(t, m))
	m.Token, m.Type, m.MessageID = request.Token, message.Acknowledgement, request.MessageID
	return datagram(t, encode(t, m))
}

func TestUnawareProxy(t *testing.T) {
	for name, target := range map[string]message.Options{
		"Proxy-Uri":    {option(message.ProxyURI, "coap://server.example/tv1?on")},
		"Proxy-Scheme": {option(message.URIHost, "server.example"), option(message.URIPath, "tv1"), option(message.URIQuery, "on"), option(message.ProxyScheme, "coap")},
	} {
		t.Run("OS-10-4,OS-4.1.3.3-1 request and response pass it: "+name, func(t *testing.T) {
			client, server := pair(t, testParams())
			m := message.Message{Code: codes.PUT, Token: []byte{1, 2}, Type: message.Confirmable, MessageID: 7, Options: target, Payload: []byte("1")}
			protected, cx, err := client.ProtectRequest(m, RequestOptions{})
			if err != nil {
				t.Fatal(err)
			}
			inner, sx, err := server.UnprotectRequest(forward(t, protected))
			if err != nil {
				t.Fatal(err)
			}
			equal(t, inner.Code, codes.PUT)
			for _, o := range []message.Option{option(message.URIPath, "tv1"), option(message.URIQuery, "on")} {
				v, _ := coapmsg.Get(inner.Options, o.ID)
				equal(t, v, o.Value)
			}
			answer := message.Message{Code: codes.Changed, Token: inner.Token, Type: message.NonConfirmable, MessageID: 9, Payload: []byte("done")}
			back := forwardBack(t, respond(t, server, sx, answer, ResponseOptions{}), protected)
			got := must(client.UnprotectResponse(back, cx))(t)
			equal(t, []any{got.Code, got.Payload, got.Token}, []any{codes.Changed, []byte("done"), message.Token{1, 2}})
		})
	}
	t.Run("OS-10-4,OS-4.1.3.5.2-4,OS-D.5.2-1 notifications pass it, whatever it makes of Outer Observe", func(t *testing.T) {
		client, server := pair(t, testParams())
		reg := get(option(message.Observe, ""))
		reg.Options = message.Options{reg.Options[1], reg.Options[0]}
		protected, cx, err := client.ProtectRequest(reg, RequestOptions{})
		if err != nil {
			t.Fatal(err)
		}
		_, sx, err := server.UnprotectRequest(forward(t, protected))
		if err != nil {
			t.Fatal(err)
		}
		for i := range 4 {
			n := content(string(rune('a'+i)), option(message.Observe, "\x07"))
			n.Token = []byte("proxy")
			back := edit(t, forwardBack(t, respond(t, server, sx, n, ResponseOptions{NoCache: true}), protected), func(m *message.Message) {
				for j := range m.Options {
					if m.Options[j].ID == message.Observe {
						m.Options[j].Value = []byte{byte(9 - i)} // renumbered, even backwards
					}
				}
			})
			got := must(client.UnprotectResponse(back, cx))(t)
			equal(t, got.Payload, n.Payload)
			equal(t, coapmsg.Has(got.Options, message.MaxAge), false)
		}
	})
	t.Run("OS-4.1.3.2-1 what a proxy does to host and port leads to no other server", func(t *testing.T) {
		client, server := pair(t, testParams())
		p := testParams()
		p.MasterSecret = []byte("of another server")
		_, other := pair(t, p)
		m, _, err := client.ProtectRequest(get(), RequestOptions{})
		if err != nil {
			t.Fatal(err)
		}
		m.Options = coapmsg.Insert(m.Options, option(message.URIHost, "other.example"))
		_, _, err = other.UnprotectRequest(m)
		wantErr(t, err, ErrDecryption)
		if _, _, err := server.UnprotectRequest(m); err != nil {
			t.Fatal(err)
		}
	})
}

func TestHopLimit(t *testing.T) {
	t.Run("OS-4.1.1-3,OS-4-1 Hop-Limit stays outside, where hops count it down", func(t *testing.T) {
		client, server := pair(t, testParams())
		m := get(option(coapmsg.HopLimit, "\x10"))
		protected, _, err := client.ProtectRequest(m, RequestOptions{})
		if err != nil {
			t.Fatal(err)
		}
		equal(t, coapmsg.Without(protected.Options, coapmsg.OSCORE), message.Options{option(coapmsg.HopLimit, "\x10")})
		protected = edit(t, protected, func(m *message.Message) { m.Options[1].Value = []byte{0x0f} })
		inner, _, err := server.UnprotectRequest(protected)
		if err != nil {
			t.Fatal(err)
		}
		v, _ := coapmsg.Get(inner.Options, coapmsg.HopLimit)
		equal(t, v, []byte{0x0f})
	})
}

func TestOuterMaxAge(t *testing.T) {
	client, server, cx, sx := registration(t)
	t.Run("OS-4.1.3.1-3 a notification may carry an Outer Max-Age of 0", func(t *testing.T) {
		n := content("x", option(message.Observe, ""), option(message.MaxAge, "\x3c"))
		m := respond(t, server, sx, n, ResponseOptions{NoCache: true})
		v, ok := coapmsg.Get(m.Options, message.MaxAge)
		equal(t, []any{v, ok}, []any{[]byte{}, true})
		v, _ = coapmsg.Get(must(client.UnprotectResponse(m, cx))(t).Options, message.MaxAge)
		equal(t, v, []byte{0x3c})
	})
	t.Run("OS-4.1.3.1-3 and does not unless told to", func(t *testing.T) {
		equal(t, coapmsg.Has(respond(t, server, sx, notification("x"), ResponseOptions{}).Options, message.MaxAge), false)
	})
}

func TestNoResponse(t *testing.T) {
	protect := func(t *testing.T, value string, o RequestOptions) (inner, outer message.Message) {
		t.Helper()
		client, server := pair(t, testParams())
		m, _, err := client.ProtectRequest(get(option(coapmsg.NoResponse, value)), o)
		if err != nil {
			t.Fatal(err)
		}
		inner, _, err = server.UnprotectRequest(datagram(t, encode(t, m)))
		if err != nil {
			t.Fatal(err)
		}
		return inner, m
	}
	for _, value := range []string{"", "\x02", "\x08", "\x1a"} {
		t.Run("OS-4.1.3.6-1,OS-4.1.3.6-2 inside only: "+string(value), func(t *testing.T) {
			inner, outer := protect(t, value, RequestOptions{})
			v, ok := coapmsg.Get(inner.Options, coapmsg.NoResponse)
			equal(t, []any{string(v), ok, coapmsg.Has(outer.Options, coapmsg.NoResponse)}, []any{value, true, false})
		})
	}
	t.Run("OS-4.1.3.6-4 26 outside too, on demand", func(t *testing.T) {
		inner, outer := protect(t, "\x1a", RequestOptions{OuterNoResponse: true})
		v, _ := coapmsg.Get(outer.Options, coapmsg.NoResponse)
		equal(t, v, []byte{26})
		equal(t, inner, get(option(coapmsg.NoResponse, "\x1a")))
	})
	t.Run("OS-4.1.3.6-4,OS-4.1.3.6-2 no other value goes outside, demanded or not", func(t *testing.T) {
		for _, value := range []string{"", "\x02", "\x1a\x00"} {
			_, outer := protect(t, value, RequestOptions{OuterNoResponse: true})
			equal(t, coapmsg.Has(outer.Options, coapmsg.NoResponse), false)
		}
	})
	t.Run("OS-4.1.3.6-5 a 5.04 of a proxy that waited in vain is refused and closes nothing", func(t *testing.T) {
		client, server := pair(t, testParams())
		cx, sx := request(t, client, server, get(option(coapmsg.NoResponse, "\x02")))
		_, err := client.UnprotectResponse(message.Message{Code: codes.GatewayTimeout, Token: []byte{1, 2}}, cx)
		wantErr(t, err, ErrNotProtected)
		must(client.UnprotectResponse(respond(t, server, sx, content("all the same"), ResponseOptions{}), cx))(t)
	})
	t.Run("OS-4.1.3.6-6 a server that does not know it answers all the same", func(t *testing.T) {
		client, server := pair(t, testParams())
		cx, sx := request(t, client, server, get(option(coapmsg.NoResponse, "\x1a")))
		equal(t, must(client.UnprotectResponse(respond(t, server, sx, content("x"), ResponseOptions{}), cx))(t), content("x"))
	})
}

func TestWithoutOptionalFeatures(t *testing.T) {
	t.Run("OS-4.1.3.4-1 a large message needs no block-wise transfer", func(t *testing.T) {
		client, server := pair(t, testParams())
		m := get()
		m.Payload = make([]byte, 40_000)
		cx, sx := request(t, client, server, m)
		want := content(string(make([]byte, 40_000)))
		equal(t, must(client.UnprotectResponse(respond(t, server, sx, want, ResponseOptions{}), cx))(t), want)
	})
	t.Run("OS-4.1.3.5-1 a server without Observe answers a registration once", func(t *testing.T) {
		client, server, cx, sx := registration(t)
		equal(t, must(client.UnprotectResponse(respond(t, server, sx, content("x"), ResponseOptions{}), cx))(t), content("x"))
	})
}
