package oscore

import (
	"testing"

	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// TestEchoRecovery walks through Appendix B.1.2: a server that lost its window.
func TestEchoRecovery(t *testing.T) {
	client, server := pair(t, testParams())
	old, _, err := client.ProtectRequest(get(), RequestOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := server.UnprotectRequest(old); err != nil {
		t.Fatal(err)
	}
	server.Invalidate()
	equal(t, server.WindowValid(), false)

	protected, cx, err := client.ProtectRequest(get(), RequestOptions{})
	if err != nil {
		t.Fatal(err)
	}
	inner, sx, err := server.UnprotectRequest(protected)
	t.Run("OS-7.5-1 a request under a lost window is not accepted", func(t *testing.T) {
		wantErr(t, err, ErrWindowInvalid)
		equal(t, inner, get())
	})
	challenge := message.Message{Code: codes.Unauthorized, Token: []byte{1, 2}, Options: message.Options{option(coapmsg.Echo, "12345678")}}
	m := respond(t, server, sx, challenge, ResponseOptions{})
	t.Run("OS-B.1.2-1,OS-B.1.2-3 it is answered with a Partial IV of the server's own", func(t *testing.T) {
		equal(t, oscoreOption(t, m).PIV, []byte{0})
		equal(t, must(client.UnprotectResponse(m, cx))(t), challenge)
	})
	t.Run("OS-8.2-7 a forged request still fails in the same way", func(t *testing.T) {
		_, _, err := server.UnprotectRequest(edit(t, protected, func(m *message.Message) { m.Payload[3] ^= 1 }))
		wantErr(t, err, ErrDecryption)
	})
	second, _, err := client.ProtectRequest(get(option(coapmsg.Echo, "12345678")), RequestOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, sx2, err := server.UnprotectRequest(second)
	wantErr(t, err, ErrWindowInvalid)
	_, sx3, err := server.UnprotectRequest(second) // a copy, before it is confirmed
	wantErr(t, err, ErrWindowInvalid)
	t.Run("OS-12.5-1,OS-B.1.2-2 a fresh request makes the window valid", func(t *testing.T) {
		if err := server.ConfirmFresh(sx2); err != nil {
			t.Fatal(err)
		}
		equal(t, server.WindowValid(), true)
	})
	t.Run("OS-B.1.2-2 its copy is a replay", func(t *testing.T) {
		wantErr(t, server.ConfirmFresh(sx3), ErrReplay)
	})
	t.Run("OS-B.1.2-2 its Partial IV is the lower limit", func(t *testing.T) {
		for _, m := range []message.Message{old, protected, second} {
			_, _, err := server.UnprotectRequest(m)
			wantErr(t, err, ErrReplay)
		}
		request(t, client, server, get())
	})
	t.Run("OS-B.1.2-2 a request accepted before the loss makes no window valid", func(t *testing.T) {
		_, accepted := request(t, client, server, get())
		server.Invalidate()
		if err := server.ConfirmFresh(accepted); err != nil {
			t.Fatal(err)
		}
		equal(t, server.WindowValid(), false)
	})
	t.Run("a fault of the caller", func(t *testing.T) {
		wantErr(t, server.ConfirmFresh(nil), ErrExchange)
		wantErr(t, server.ConfirmFresh(cx), ErrExchange)
		wantErr(t, client.ConfirmFresh(cx), ErrExchange)
	})
}

func TestNonceNotReusedUnderLostWindow(t *testing.T) {
	t.Run("OS-B.1.2-1,OS-5.2-5 every response to an unconfirmed request has its Partial IV", func(t *testing.T) {
		client, server := pair(t, testParams())
		server.Invalidate()
		m, _, err := client.ProtectRequest(get(), RequestOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			_, sx, err := server.UnprotectRequest(m)
			wantErr(t, err, ErrWindowInvalid)
			equal(t, oscoreOption(t, respond(t, server, sx, content("x"), ResponseOptions{})).PIV, []byte{byte(i)})
		}
	})
}

func TestCleanStop(t *testing.T) {
	client, server := pair(t, testParams())
	seen, _, err := client.ProtectRequest(get(), RequestOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := server.UnprotectRequest(seen); err != nil {
		t.Fatal(err)
	}
	saved := must(server.StopWindow())(t)
	t.Run("OS-7.5-1 nothing is accepted after the window was saved", func(t *testing.T) {
		m, _, err := client.ProtectRequest(get(), RequestOptions{})
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = server.UnprotectRequest(m)
		wantErr(t, err, ErrWindowInvalid)
	})
	t.Run("OS-12.8-1,OS-7.5-1 the restored window knows what was received", func(t *testing.T) {
		_, again := pair(t, testParams())
		if err := again.RestoreWindow(saved); err != nil {
			t.Fatal(err)
		}
		_, _, err := again.UnprotectRequest(seen)
		wantErr(t, err, ErrReplay)
		request(t, client, again, get())
	})
	t.Run("what is no window", func(t *testing.T) {
		if err := server.RestoreWindow([]byte("x")); err == nil {
			t.Fatal("accepted")
		}
	})
}
