package oscore

import (
	"sync"
	"testing"

	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

func respond(t testing.TB, c *Context, x *Exchange, m message.Message, o ResponseOptions) message.Message {
	t.Helper()
	p, err := c.ProtectResponse(m, x, o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestProtectResponse(t *testing.T) {
	p := testParams()
	p.IDContext = []byte("ctx")
	client, server := pair(t, p)
	_, sx := request(t, client, server, get())
	first := respond(t, server, sx, content("a"), ResponseOptions{})
	t.Run("OS-5.2-5,OS-2-2,OS-2-4,OS-5-7 the first response has an empty option", func(t *testing.T) {
		v, n := coapmsg.FindOSCORE(first.Options)
		equal(t, []int{len(v), n}, []int{0, 1})
	})
	t.Run("OS-4.2-1 outer code 2.04", func(t *testing.T) { equal(t, first.Code, codes.Changed) })
	t.Run("OS-8.3-3 a response without Partial IV spends no number", func(t *testing.T) {
		equal(t, server.sequence.next.Load(), uint64(0))
	})
	t.Run("OS-8.3-3,OS-8.3-2,OS-3.2.2-1 the second takes a Partial IV unasked", func(t *testing.T) {
		m := respond(t, server, sx, content("b"), ResponseOptions{})
		equal(t, oscoreOption(t, m).PIV, []byte{0})
	})
	t.Run("OS-8.3-2 a Partial IV on request", func(t *testing.T) {
		_, sx := request(t, client, server, get())
		m := respond(t, server, sx, content("b"), ResponseOptions{PIV: true})
		equal(t, oscoreOption(t, m).PIV, []byte{1})
		m = respond(t, server, sx, content("c"), ResponseOptions{})
		equal(t, oscoreOption(t, m).PIV, []byte{2})
	})
	t.Run("OS-5-7 kid and kid context on request only", func(t *testing.T) {
		_, sx := request(t, client, server, get())
		o := oscoreOption(t, respond(t, server, sx, content("b"), ResponseOptions{KID: true, KIDContext: true}))
		equal(t, []string{string(o.KID), string(o.KIDContext)}, []string{"\x01", "ctx"})
	})
	t.Run("OS-8.3-1 an error is protected like a success", func(t *testing.T) {
		cx, sx := request(t, client, server, get())
		want := message.Message{Code: codes.NotFound, Token: []byte{1, 2}, Type: message.Acknowledgement, MessageID: 7, Payload: []byte("no such lamp")}
		m := respond(t, server, sx, want, ResponseOptions{})
		equal(t, m.Code, codes.Changed)
		equal(t, must(client.UnprotectResponse(m, cx))(t), want)
	})
	t.Run("OS-4.1.3.1-1 Max-Age goes inside", func(t *testing.T) {
		cx, sx := request(t, client, server, get())
		m := respond(t, server, sx, content("x", option(message.MaxAge, "\x09")), ResponseOptions{})
		equal(t, coapmsg.Has(m.Options, message.MaxAge), false)
		m.Options = coapmsg.Insert(m.Options, option(message.MaxAge, "\x01"))
		equal(t, must(client.UnprotectResponse(m, cx))(t), content("x", option(message.MaxAge, "\x09")))
	})
	t.Run("OS-8.3-3 of concurrent responses one uses the request's nonce", func(t *testing.T) {
		_, sx := request(t, client, server, get())
		var wg sync.WaitGroup
		without := make(chan bool, 16)
		for range 16 {
			wg.Go(func() {
				m, err := server.ProtectResponse(content("x"), sx, ResponseOptions{})
				if err != nil {
					t.Error(err)
				} else if v, _ := coapmsg.FindOSCORE(m.Options); len(v) == 0 {
					without <- true
				}
			})
		}
		wg.Wait()
		equal(t, len(without), 1)
	})
}

func TestProtectResponseRefused(t *testing.T) {
	client, server := pair(t, testParams())
	cx, sx := request(t, client, server, get())
	_, other := pair(t, testParams())
	for name, c := range map[string]struct {
		ctx  *Context
		x    *Exchange
		m    message.Message
		want error
	}{
		"no exchange":                         {server, nil, content("x"), ErrExchange},
		"a client's exchange":                 {client, cx, content("x"), ErrExchange},
		"another context":                     {other, sx, content("x"), ErrExchange},
		"a request":                           {server, sx, get(), ErrExchange},
		"OS-4.1.3.7-1 a nested OSCORE option": {server, sx, content("x", option(coapmsg.OSCORE, "")), coapmsg.ErrNested},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.ctx.ProtectResponse(c.m, c.x, ResponseOptions{})
			wantErr(t, err, c.want)
		})
	}
	t.Run("a kid context too long for the option", func(t *testing.T) {
		p := testParams()
		p.IDContext = make([]byte, 250)
		client, server := pair(t, p)
		m, _, err := client.ProtectRequest(get(), RequestOptions{OmitIDContext: true})
		if err != nil {
			t.Fatal(err)
		}
		_, sx, err := server.UnprotectRequest(m)
		if err != nil {
			t.Fatal(err)
		}
		_, err = server.ProtectResponse(content("x"), sx, ResponseOptions{KIDContext: true})
		wantErr(t, err, ErrTooLong)
		respond(t, server, sx, content("x"), ResponseOptions{})
	})
	t.Run("OS-7.2.1-1 exhausted: not even a response without Partial IV", func(t *testing.T) {
		server.sequence = NewSequence(1 << 40)
		_, err := server.ProtectResponse(content("x"), sx, ResponseOptions{})
		wantErr(t, err, ErrSequenceExhausted)
	})
	t.Run("no number reserved for a Partial IV", func(t *testing.T) {
		server.sequence = NewSequence(0)
		_, err := server.ProtectResponse(content("x"), sx, ResponseOptions{PIV: true})
		wantErr(t, err, ErrSequenceNotReserved)
		server.sequence = sequenceAt(t, 0)
		equal(t, oscoreOption(t, respond(t, server, sx, content("x"), ResponseOptions{})).PIV, []byte{0})
	})
}

func TestUnprotectResponse(t *testing.T) {
	client, server := pair(t, testParams())
	for name, o := range map[string]ResponseOptions{
		"OS-5-9,OS-5.2-4,OS-8.4-4,OS-5.4-2 without Partial IV":          {},
		"OS-5-9,OS-8.4-4,OS-5.2-2,OS-5.4-2 with Partial IV":             {PIV: true},
		"OS-5-9 with Partial IV and kid, from a peer that always sends": {PIV: true, KID: true},
	} {
		t.Run(name, func(t *testing.T) {
			cx, sx := request(t, client, server, get())
			m := respond(t, server, sx, content("hello", option(message.ContentFormat, "")), o)
			equal(t, must(client.UnprotectResponse(m, cx))(t), content("hello", option(message.ContentFormat, "")))
			_, err := client.UnprotectResponse(m, cx)
			wantErr(t, err, ErrReplay)
		})
	}
	t.Run("OS-7.4-6 a second response to a request without Observe is not accepted", func(t *testing.T) {
		cx, sx := request(t, client, server, get())
		a := respond(t, server, sx, content("a"), ResponseOptions{})
		b := respond(t, server, sx, content("b"), ResponseOptions{})
		c := respond(t, server, sx, content("c"), ResponseOptions{})
		equal(t, must(client.UnprotectResponse(b, cx))(t), content("b"))
		for _, m := range []message.Message{a, b, c} {
			_, err := client.UnprotectResponse(m, cx)
			wantErr(t, err, ErrReplay)
		}
	})
	t.Run("OS-7.4-6 of concurrent copies one is accepted", func(t *testing.T) {
		cx, sx := request(t, client, server, get())
		m := respond(t, server, sx, content("a"), ResponseOptions{})
		var wg sync.WaitGroup
		accepted := make(chan bool, 16)
		for range 16 {
			wg.Go(func() {
				if _, err := client.UnprotectResponse(m, cx); err == nil {
					accepted <- true
				}
			})
		}
		wg.Wait()
		equal(t, len(accepted), 1)
	})
	t.Run("OS-8-1,OS-7.1-1,OS-5.4-2 a response of another request does not verify", func(t *testing.T) {
		cx1, sx1 := request(t, client, server, get())
		cx2, sx2 := request(t, client, server, get())
		m1 := respond(t, server, sx1, content("1"), ResponseOptions{PIV: true})
		m2 := respond(t, server, sx2, content("2"), ResponseOptions{})
		_, err := client.UnprotectResponse(m1, cx2)
		wantErr(t, err, ErrDecryption)
		_, err = client.UnprotectResponse(m2, cx1)
		wantErr(t, err, ErrDecryption)
		equal(t, must(client.UnprotectResponse(m1, cx1))(t), content("1"))
		equal(t, must(client.UnprotectResponse(m2, cx2))(t), content("2"))
	})
	t.Run("OS-3.1-3 a message sent back to its maker does not verify", func(t *testing.T) {
		cx, _ := request(t, client, server, get())
		m, _, err := client.ProtectRequest(get(), RequestOptions{})
		if err != nil {
			t.Fatal(err)
		}
		m.Code = codes.Changed
		m = withOption(t, m, nil)
		_, err = client.UnprotectResponse(m, cx)
		wantErr(t, err, ErrDecryption)
	})
}

func TestUnprotectResponseRefused(t *testing.T) {
	client, server := pair(t, testParams())
	cx, sx := request(t, client, server, get())
	good := respond(t, server, sx, content("hello"), ResponseOptions{})
	_, other := pair(t, testParams())
	for name, c := range map[string]struct {
		ctx  *Context
		x    *Exchange
		m    message.Message
		want error
	}{
		"OS-8.4-5,OS-D.5.3-2 an unprotected response":    {client, cx, message.Message{Code: codes.Unauthorized, Payload: []byte("Security context not found")}, ErrNotProtected},
		"OS-2-3 no payload":                              {client, cx, edit(t, good, func(m *message.Message) { m.Payload = nil }), ErrMalformed},
		"OS-8.4-3 a malformed option":                    {client, cx, withOption(t, good, []byte{0x40}), ErrMalformed},
		"OS-8.4-3 a bit of the ciphertext":               {client, cx, edit(t, good, func(m *message.Message) { m.Payload[0] ^= 1 }), ErrDecryption},
		"OS-8.4-3 a Partial IV put in":                   {client, cx, withOption(t, good, []byte{1, 5}), ErrDecryption},
		"OS-8.4-2 the kid of another":                    {client, cx, withOption(t, good, []byte{8, 5}), ErrMalformed},
		"OS-2-5 two OSCORE options":                      {client, cx, edit(t, good, func(m *message.Message) { m.Options = append(m.Options, m.Options[0]) }), ErrMalformed},
		"a request code":                                 {client, cx, edit(t, good, func(m *message.Message) { m.Code = codes.POST }), ErrExchange},
		"a server's exchange":                            {server, sx, good, ErrExchange},
		"another context":                                {other, cx, good, ErrExchange},
		"no exchange":                                    {client, nil, good, ErrExchange},
		"OS-D.5.1-1 an outer code that is no response's": {client, cx, edit(t, good, func(m *message.Message) { m.Code = 0xe1 }), ErrExchange},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.ctx.UnprotectResponse(c.m, c.x)
			wantErr(t, err, c.want)
		})
	}
	t.Run("OS-8.4-2,OS-D.5.1-1 after all of them the response is accepted, whatever its outer code", func(t *testing.T) {
		good.Code = codes.NotFound
		equal(t, must(client.UnprotectResponse(good, cx))(t), content("hello"))
	})
}
