package oscore

import (
	"testing"

	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// registration opens an observation.
func registration(t testing.TB) (client, server *Context, cx, sx *Exchange) {
	t.Helper()
	client, server = pair(t, testParams())
	m := get()
	m.Options = coapmsg.Insert(m.Options, option(message.Observe, ""))
	cx, sx = request(t, client, server, m)
	if !cx.Observe() || !sx.Observe() {
		t.Fatal("no observation")
	}
	return client, server, cx, sx
}

func notification(payload string) message.Message {
	return content(payload, option(message.Observe, "\x63"))
}

func TestNotifications(t *testing.T) {
	client, server, cx, sx := registration(t)
	first := respond(t, server, sx, notification("0"), ResponseOptions{})
	var later []message.Message
	for _, p := range []string{"1", "2", "3", "4"} {
		later = append(later, respond(t, server, sx, notification(p), ResponseOptions{}))
	}
	open := func(m message.Message) (message.Message, error) { return client.UnprotectResponse(m, cx) }

	t.Run("OS-4.1.3.5.2-1,OS-8.3.1-1,OS-4.1.3.5-4 only the first goes without Partial IV", func(t *testing.T) {
		v, _ := coapmsg.FindOSCORE(first.Options)
		equal(t, len(v), 0)
		for i, m := range later {
			equal(t, oscoreOption(t, m).PIV, []byte{byte(i)})
		}
	})
	t.Run("OS-4.1.3.5-3,OS-4.1.3.5.2-4 outer 2.05 and Observe", func(t *testing.T) {
		equal(t, first.Code, codes.Content)
		v, _ := coapmsg.Get(first.Options, message.Observe)
		equal(t, v, []byte{0x63})
	})
	t.Run("OS-7.4.1-1 the first is accepted and sets no Notification Number", func(t *testing.T) {
		m := must(open(first))(t)
		equal(t, m.Payload, []byte("0"))
		_, ok := cx.NotificationNumber()
		equal(t, ok, false)
	})
	t.Run("OS-7.4.1-2,OS-8.4.2-1 a second one without Partial IV is not", func(t *testing.T) {
		_, err := open(first)
		wantErr(t, err, ErrReplay)
	})
	t.Run("OS-4.1.3.5.2-5,OS-4.1.3.5.2-9 the order given on is the Partial IV's", func(t *testing.T) {
		late := edit(t, later[2], func(m *message.Message) {
			for i := range m.Options {
				if m.Options[i].ID == message.Observe {
					m.Options[i].Value = []byte{0xff, 0xff}
				}
			}
		})
		m := must(open(late))(t)
		v, _ := coapmsg.Get(m.Options, message.Observe)
		equal(t, v, []byte{2})
	})
	t.Run("OS-7.4.1-5,OS-4.1.3.5.2-2 the Notification Number follows", func(t *testing.T) {
		n, ok := cx.NotificationNumber()
		equal(t, []any{n, ok}, []any{uint64(2), true})
	})
	t.Run("OS-7.4.1-3 the same again is dropped", func(t *testing.T) {
		_, err := open(later[2])
		wantErr(t, err, ErrReplay)
	})
	t.Run("OS-7.4.1-4,OS-4.1.3.5.2-8 an older one is dropped", func(t *testing.T) {
		_, err := open(later[1])
		wantErr(t, err, ErrReplay)
	})
	t.Run("OS-7.4.1-5,OS-8.4.2-2 one that does not verify changes nothing", func(t *testing.T) {
		_, err := open(edit(t, later[3], func(m *message.Message) { m.Payload[0] ^= 1 }))
		wantErr(t, err, ErrDecryption)
		n, _ := cx.NotificationNumber()
		equal(t, n, uint64(2))
		m := must(open(later[3]))(t)
		equal(t, m.Payload, []byte("4"))
	})
	t.Run("OS-D.5.2-1 without Outer Observe it is a notification all the same", func(t *testing.T) {
		m := respond(t, server, sx, notification("5"), ResponseOptions{})
		m.Options = coapmsg.Without(m.Options, message.Observe)
		equal(t, coapmsg.Has(must(open(m))(t).Options, message.Observe), true)
	})
	t.Run("OS-4.1.3.5.2-1,OS-4.1.3.5.2-6 an error ends it, with a Partial IV", func(t *testing.T) {
		end := message.Message{Code: codes.NotFound, Token: []byte{1, 2}}
		m := respond(t, server, sx, end, ResponseOptions{})
		equal(t, oscoreOption(t, m).PIV, []byte{5})
		equal(t, must(open(m))(t).Code, codes.NotFound)
		_, err := open(respond(t, server, sx, notification("6"), ResponseOptions{}))
		wantErr(t, err, ErrReplay)
	})
}

func TestNotificationWithoutPIVCountsAsOldest(t *testing.T) {
	t.Run("OS-4.1.3.5.2-8,OS-7.4.1-1 it comes too late after a newer one", func(t *testing.T) {
		client, server, cx, sx := registration(t)
		first := respond(t, server, sx, notification("0"), ResponseOptions{})
		second := respond(t, server, sx, notification("1"), ResponseOptions{})
		must(client.UnprotectResponse(second, cx))(t)
		_, err := client.UnprotectResponse(first, cx)
		wantErr(t, err, ErrReplay)
	})
}

func TestObserveOnlyByInnerOption(t *testing.T) {
	t.Run("OS-4.1.3.5.2-6 a plain response to a registration", func(t *testing.T) {
		client, server, cx, sx := registration(t)
		m := respond(t, server, sx, content("x"), ResponseOptions{})
		equal(t, m.Code, codes.Changed)
		equal(t, must(client.UnprotectResponse(m, cx))(t), content("x"))
	})
	t.Run("OS-4.1.3.5.2-7 a notification to a request without Observe is stopped", func(t *testing.T) {
		client, server := pair(t, testParams())
		cx, sx := request(t, client, server, get())
		_, err := client.UnprotectResponse(respond(t, server, sx, notification("x"), ResponseOptions{}), cx)
		wantErr(t, err, ErrMalformed)
	})
	t.Run("OS-4.1.3.5.2-7,OS-4.1.3.5.1-2 nor does a cancellation register", func(t *testing.T) {
		client, server := pair(t, testParams())
		m := get()
		m.Options = coapmsg.Insert(m.Options, option(message.Observe, "\x01"))
		cx, sx := request(t, client, server, m)
		equal(t, []bool{cx.Observe(), sx.Observe()}, []bool{false, false})
		_, err := client.UnprotectResponse(respond(t, server, sx, notification("x"), ResponseOptions{}), cx)
		wantErr(t, err, ErrMalformed)
	})
	t.Run("OS-4.1.3.5.1-5,OS-D.5.2-1 Outer Observe taken away on the way", func(t *testing.T) {
		client, server := pair(t, testParams())
		m := get()
		m.Options = coapmsg.Insert(m.Options, option(message.Observe, ""))
		p, _, err := client.ProtectRequest(m, RequestOptions{})
		if err != nil {
			t.Fatal(err)
		}
		p.Options = coapmsg.Without(p.Options, message.Observe)
		p.Code = codes.POST
		inner, sx, err := server.UnprotectRequest(p)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, inner, m)
		equal(t, sx.Observe(), true)
	})
	t.Run("OS-4.1.3.5.1-2 a new registration has its own Partial IV and binds its notifications", func(t *testing.T) {
		client, server, cx, _ := registration(t)
		m := get()
		m.Options = coapmsg.Insert(m.Options, option(message.Observe, ""))
		again, sx := request(t, client, server, m)
		if again.RequestSequence() == cx.RequestSequence() {
			t.Fatal("same number")
		}
		n := respond(t, server, sx, notification("x"), ResponseOptions{PIV: true})
		_, err := client.UnprotectResponse(n, cx)
		wantErr(t, err, ErrDecryption)
		must(client.UnprotectResponse(n, again))(t)
	})
}

func TestSetObserve(t *testing.T) {
	for piv, want := range map[string]string{"": "", "\x00": "", "\x05": "\x05", "\x01\x00\x00\x07": "\x07", "\x01\x02\x03\x04\x05": "\x03\x04\x05"} {
		opts := message.Options{option(message.Observe, "x")}
		setObserve(opts, []byte(piv))
		equal(t, string(opts[0].Value), want)
	}
}
