package oscore

import (
	"testing"

	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// FuzzUnprotectRequest gives a server any datagram: it never panics, and what
// it accepts it accepts once.
func FuzzUnprotectRequest(f *testing.F) {
	client, _ := pair(f, testParams())
	for _, v := range rfcVectors(f) {
		f.Add(v.messages[0].protected)
	}
	for range 3 {
		m, _, err := client.ProtectRequest(get(), RequestOptions{})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(encode(f, m))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := coapmsg.ParseDatagram(b)
		if err != nil {
			return
		}
		_, server := pair(t, testParams())
		_, sx, err := server.UnprotectRequest(m)
		if err != nil {
			if sx != nil {
				t.Fatal("an exchange with an error")
			}
			return
		}
		_, _, err = server.UnprotectRequest(m)
		wantErr(t, err, ErrReplay)
	})
}

// FuzzUnprotectResponse gives a client any response.
func FuzzUnprotectResponse(f *testing.F) {
	client, server := pair(f, testParams())
	_, sx := request(f, client, server, get())
	for _, o := range []ResponseOptions{{}, {PIV: true, KID: true, KIDContext: true}} {
		m, err := server.ProtectResponse(notification("x"), sx, o)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(encode(f, m), true)
		f.Add(encode(f, m), false)
	}
	f.Fuzz(func(t *testing.T, b []byte, observe bool) {
		m, err := coapmsg.ParseDatagram(b)
		if err != nil {
			return
		}
		client, _ := pair(t, testParams())
		q := get()
		if observe {
			q.Options = coapmsg.Insert(q.Options, option(message.Observe, ""))
		}
		_, cx, err := client.ProtectRequest(q, RequestOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.UnprotectResponse(m, cx); err == nil {
			_, err := client.UnprotectResponse(m, cx)
			wantErr(t, err, ErrReplay)
		}
	})
}

// FuzzExchange sends any message both ways and wants it back.
func FuzzExchange(f *testing.F) {
	f.Add(byte(codes.POST), []byte("\xb3tv1\xffhello"), byte(codes.Content), []byte("\xc1\x3c\xffworld"), true)
	f.Add(byte(codes.GET), []byte("\x60\x53abc"), byte(codes.NotFound), []byte(""), false)
	f.Fuzz(func(t *testing.T, reqCode byte, reqOpts []byte, respCode byte, respOpts []byte, piv bool) {
		build := func(code byte, b []byte) (message.Message, bool) {
			opts, payload, err := coapmsg.ParseOptions(b)
			if err != nil || coapmsg.Has(opts, coapmsg.OSCORE) || coapmsg.Has(opts, message.ProxyURI) {
				return message.Message{}, false
			}
			return message.Message{Code: codes.Code(code), Token: []byte{1}, Type: message.NonConfirmable, MessageID: 9, Options: opts, Payload: payload}, true
		}
		req, ok := build(reqCode, reqOpts)
		resp, ok2 := build(respCode, respOpts)
		if !ok || !ok2 || !coapmsg.IsRequest(req.Code) || !coapmsg.IsResponse(resp.Code) {
			return
		}
		client, server := pair(t, testParams())
		p, cx, err := client.ProtectRequest(req, RequestOptions{})
		if err != nil {
			return
		}
		wire := encode(t, p)
		inner, sx, err := server.UnprotectRequest(datagram(t, wire))
		if err != nil {
			t.Fatal(err)
		}
		equal(t, inner, req)
		p, err = server.ProtectResponse(resp, sx, ResponseOptions{PIV: piv})
		if err != nil {
			return
		}
		got, err := client.UnprotectResponse(datagram(t, encode(t, p)), cx)
		if coapmsg.Has(resp.Options, message.Observe) && !cx.Observe() {
			wantErr(t, err, ErrMalformed)
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		got.Options = coapmsg.Without(got.Options, message.Observe)
		resp.Options = coapmsg.Without(resp.Options, message.Observe)
		equal(t, got, resp)
	})
}
