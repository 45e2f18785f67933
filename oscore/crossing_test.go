package oscore

import (
	"testing"

	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// observing is a request with an Observe value, under the same token always.
func observing(value string) message.Message {
	m := get()
	m.Options = coapmsg.Insert(m.Options, option(message.Observe, value))
	return m
}

// TestCancelCrossesNotification has a notification under way while the client
// cancels under the same token: only the exchange a response belongs to opens
// it.
func TestCancelCrossesNotification(t *testing.T) {
	client, server, reg, sreg := registration(t)
	must(client.UnprotectResponse(respond(t, server, sreg, notification("0"), ResponseOptions{}), reg))(t)
	crossing := respond(t, server, sreg, notification("1"), ResponseOptions{})

	cancel, scancel := request(t, client, server, observing("\x01"))
	t.Run("OS-4.1.3.5.1-2,OS-5.4-2 the notification is not an answer to the cancellation", func(t *testing.T) {
		_, err := client.UnprotectResponse(crossing, cancel)
		wantErr(t, err, ErrDecryption)
	})
	t.Run("OS-8.4.2-2,OS-8-1 it still belongs to the observation", func(t *testing.T) {
		equal(t, must(client.UnprotectResponse(crossing, reg))(t).Payload, []byte("1"))
	})
	answer := respond(t, server, scancel, content("last"), ResponseOptions{})
	t.Run("OS-8.4-2,OS-5.2-5 the answer is the cancellation's, without Partial IV", func(t *testing.T) {
		v, _ := coapmsg.FindOSCORE(answer.Options)
		equal(t, len(v), 0)
		_, err := client.UnprotectResponse(answer, reg)
		wantErr(t, err, ErrReplay) // the observation has its response without Partial IV
		equal(t, must(client.UnprotectResponse(answer, cancel))(t), content("last"))
	})
	t.Run("OS-7.4-6 and there is no second", func(t *testing.T) {
		_, err := client.UnprotectResponse(answer, cancel)
		wantErr(t, err, ErrReplay)
	})
}

// TestRegistrationAnew registers again, after a while or after a restart.
func TestRegistrationAnew(t *testing.T) {
	client, server, reg, sreg := registration(t)
	old := respond(t, server, sreg, notification("old"), ResponseOptions{PIV: true})
	must(client.UnprotectResponse(old, reg))(t)

	again, sagain := request(t, client, server, observing(""))
	t.Run("OS-B.1.3-1 the new registration has no Notification Number", func(t *testing.T) {
		_, ok := again.NotificationNumber()
		equal(t, ok, false)
	})
	t.Run("OS-B.1.3-1 what was sent for the old one is not accepted again", func(t *testing.T) {
		_, err := client.UnprotectResponse(old, again)
		wantErr(t, err, ErrDecryption)
	})
	t.Run("OS-4.1.3.5.1-2,OS-5.2-5 its first notification may do without Partial IV", func(t *testing.T) {
		n := respond(t, server, sagain, notification("new"), ResponseOptions{})
		v, _ := coapmsg.FindOSCORE(n.Options)
		equal(t, len(v), 0)
		equal(t, must(client.UnprotectResponse(n, again))(t).Payload, []byte("new"))
	})
	t.Run("OS-4.1.3.5.1-2 the old one goes on until it is dropped", func(t *testing.T) {
		must(client.UnprotectResponse(respond(t, server, sreg, notification("still"), ResponseOptions{}), reg))(t)
	})
}

func TestReplayedRegistration(t *testing.T) {
	t.Run("OS-4.1.3.5.1-4 it is refused, and the observation may be answered with a new notification", func(t *testing.T) {
		client, server := pair(t, testParams())
		m, cx, err := client.ProtectRequest(observing(""), RequestOptions{})
		if err != nil {
			t.Fatal(err)
		}
		_, sx, err := server.UnprotectRequest(m)
		if err != nil {
			t.Fatal(err)
		}
		first := respond(t, server, sx, notification("1"), ResponseOptions{})
		_, none, err := server.UnprotectRequest(m) // a proxy sends it again
		wantErr(t, err, ErrReplay)
		equal(t, none == nil, true)
		must(client.UnprotectResponse(first, cx))(t)
		second := respond(t, server, sx, notification("2"), ResponseOptions{})
		equal(t, oscoreOption(t, second).PIV, []byte{0})
		equal(t, must(client.UnprotectResponse(second, cx))(t).Payload, []byte("2"))
	})
}

func TestRetryWithKIDContext(t *testing.T) {
	t.Run("OS-5.1-1 a request that found no context may be made again with kid context", func(t *testing.T) {
		p := testParams()
		p.IDContext = []byte("ctx")
		client, server := pair(t, p)
		// A server whose contexts are found by kid context alone.
		lookUp := func(m message.Message) (message.Message, *Exchange, error) {
			if o := oscoreOption(t, m); o.KIDContext == nil || !server.Matches(o) {
				return message.Message{}, nil, ErrNoContext
			}
			return server.UnprotectRequest(m)
		}
		m, cx, err := client.ProtectRequest(get(), RequestOptions{OmitIDContext: true})
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = lookUp(m)
		code, text, _, _ := ErrorResponse(err)
		_, err = client.UnprotectResponse(message.Message{Code: code, Payload: []byte(text)}, cx)
		wantErr(t, err, ErrNotProtected) // a hint that anybody may have sent
		m, _, err = client.ProtectRequest(get(), RequestOptions{})
		if err != nil {
			t.Fatal(err)
		}
		inner, _, err := lookUp(m)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, inner, get())
		equal(t, oscoreOption(t, m).PIV, []byte{1})
	})
}

func TestRecoveryIsConfigured(t *testing.T) {
	t.Run("OS-7.5-2 a context that lost its window knows Echo only", func(t *testing.T) {
		client, server := pair(t, testParams())
		server.Invalidate()
		m, _, err := client.ProtectRequest(get(), RequestOptions{})
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = server.UnprotectRequest(m)
		wantErr(t, err, ErrWindowInvalid)
		c := must(NewB2Client(testParams(), nil))(t)
		m, _, err = c.Request1(get())
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = server.UnprotectRequest(m)
		wantErr(t, err, ErrNoContext)
	})
	t.Run("OS-7.5-2 a side of Appendix B.2 knows that only", func(t *testing.T) {
		client, _ := pair(t, testParams())
		s := must(NewB2Server(reverse(testParams()), nil))(t)
		m, _, err := client.ProtectRequest(get(), RequestOptions{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Open(m)
		wantErr(t, err, ErrNoContext)
	})
	t.Run("OS-7.5-2 nothing is lost unless the owner says so", func(t *testing.T) {
		client, server := pair(t, testParams())
		request(t, client, server, get())
		equal(t, server.WindowValid(), true)
		equal(t, must(NewContext(testParams(), NewSequence(7)))(t).WindowValid(), true)
	})
}

func TestRegisteredNumbers(t *testing.T) {
	t.Run("OS-13.2-1 option, content format, media type, header field and codes", func(t *testing.T) {
		equal(t, []any{int(coapmsg.OSCORE), ContentFormat, HTTPMediaType}, []any{9, 10001, "application/oscore"})
		equal(t, must(RequestToHTTP(oscoreRequest()))(t).Header["Oscore"], []string{"CSU"})
		client, server := pair(t, testParams())
		m, _, err := client.ProtectRequest(get(), RequestOptions{})
		if err != nil {
			t.Fatal(err)
		}
		_, sx, err := server.UnprotectRequest(m)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, encode(t, m)[6:8], []byte{0x92, 0x09}) // delta 9, two bytes: flags and Partial IV 0
		equal(t, []any{m.Code, respond(t, server, sx, content("x"), ResponseOptions{}).Code}, []any{codes.POST, codes.Changed})
	})
}
