package oscore

import (
	"bytes"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

func TestProtectRequest(t *testing.T) {
	p := testParams()
	p.IDContext = []byte("ctx")
	client, server := pair(t, p)
	m, x, err := client.ProtectRequest(get(option(message.URIHost, "h")), RequestOptions{})
	if err != nil {
		t.Fatal(err)
	}
	o := oscoreOption(t, m)
	t.Run("OS-3.2.2-1,OS-5-3 the first Partial IV is 00", func(t *testing.T) { equal(t, o.PIV, []byte{0}) })
	t.Run("OS-5-4 Partial IV and kid are there, kid empty", func(t *testing.T) {
		if o.KID == nil || len(o.KID) != 0 {
			t.Fatalf("kid %v", o.KID)
		}
	})
	t.Run("OS-5-6 kid context is the ID Context", func(t *testing.T) { equal(t, o.KIDContext, []byte("ctx")) })
	t.Run("OS-4.2-3 header kept", func(t *testing.T) {
		equal(t, []any{m.Type, m.MessageID, m.Token}, []any{message.Confirmable, int32(7), message.Token{1, 2}})
	})
	t.Run("OS-4.1.2-2,OS-4.1.1-1,OS-4.2-4,OS-4-1 only class U outside", func(t *testing.T) {
		equal(t, coapmsg.Without(m.Options, coapmsg.OSCORE), message.Options{option(message.URIHost, "h")})
		if bytes.Contains(m.Payload, []byte("tv1")) {
			t.Fatal("plaintext in the payload")
		}
	})
	t.Run("OS-6.2-1 the payload is the ciphertext with its tag", func(t *testing.T) { equal(t, len(m.Payload), 5+8) })
	t.Run("OS-8.1-1,OS-7.2-1 the next request takes the next number", func(t *testing.T) {
		m, _, err := client.ProtectRequest(get(), RequestOptions{})
		if err != nil {
			t.Fatal(err)
		}
		equal(t, oscoreOption(t, m).PIV, []byte{1})
	})
	t.Run("OS-5-6 kid context may be left out", func(t *testing.T) {
		m, _, err := client.ProtectRequest(get(), RequestOptions{OmitIDContext: true})
		if err != nil {
			t.Fatal(err)
		}
		if oscoreOption(t, m).KIDContext != nil {
			t.Fatal("sent")
		}
		if _, _, err := server.UnprotectRequest(m); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("OS-4.1.3.5-3,OS-4.1.3.5.1-1 outer FETCH and Observe", func(t *testing.T) {
		m, x, err := client.ProtectRequest(get(option(message.Observe, "")), RequestOptions{})
		if err != nil {
			t.Fatal(err)
		}
		equal(t, m.Code, coapmsg.FETCH)
		equal(t, x.Observe(), true)
		equal(t, coapmsg.Without(m.Options, coapmsg.OSCORE), message.Options{option(message.Observe, "")})
	})
	t.Run("the caller's message is left alone", func(t *testing.T) {
		in := get(option(message.URIHost, "h"))
		before := edit(t, in, func(*message.Message) {})
		if _, _, err := client.ProtectRequest(in, RequestOptions{}); err != nil {
			t.Fatal(err)
		}
		equal(t, in, before)
	})
	t.Run("exchange", func(t *testing.T) {
		equal(t, x.RequestSequence(), uint64(0))
		equal(t, x.Observe(), false)
		equal(t, x.Context() == client, true)
	})
}

func TestProtectRequestRefused(t *testing.T) {
	client, _ := pair(t, testParams())
	long := testParams()
	long.IDContext = make([]byte, 250)
	longClient, _ := pair(t, long)
	spent, _ := pair(t, testParams())
	spent.sequence = NewSequence(1 << 40)
	bare, _ := pair(t, testParams())
	bare.sequence = NewSequence(0)
	big := get()
	big.Payload = make([]byte, 65536)
	for name, c := range map[string]struct {
		ctx  *Context
		m    message.Message
		want error
	}{
		"OS-4.1.3.7-1 a nested OSCORE option":             {client, get(option(coapmsg.OSCORE, "")), coapmsg.ErrNested},
		"OS-4.3-4 signalling is left alone":               {client, message.Message{Code: codes.Ping}, ErrExchange},
		"a response":                                      {client, content("x"), ErrExchange},
		"a kid context too long for the option":           {longClient, get(), ErrTooLong},
		"more than the cipher takes":                      {client, big, ErrTooLong},
		"OS-7.2.1-1 exhausted":                            {spent, get(), ErrSequenceExhausted},
		"not reserved":                                    {bare, get(), ErrSequenceNotReserved},
		"OS-4.1.3.3-1 a Proxy-Uri that is no uri at all":  {client, message.Message{Code: codes.GET, Options: message.Options{option(message.ProxyURI, "/x")}}, coapmsg.ErrProxyURI},
		"an option value that cannot be encoded in CoAP":  {client, get(option(message.URIQuery, string(make([]byte, 70000)))), coapmsg.ErrValue},
		"more options than one message may have, in fact": {client, get(make([]message.Option, 64)...), coapmsg.ErrTooManyOptions},
	} {
		t.Run(name, func(t *testing.T) {
			before := c.ctx.sequence.next.Load()
			_, x, err := c.ctx.ProtectRequest(c.m, RequestOptions{})
			wantErr(t, err, c.want)
			if x != nil || c.ctx.sequence.next.Load() != before {
				t.Fatal("an exchange, or a number spent")
			}
		})
	}
}

func TestUnprotectRequest(t *testing.T) {
	client, server := pair(t, testParams())
	t.Run("OS-8.2-12 a request arrives as it was", func(t *testing.T) {
		m := get(option(message.URIHost, "h"), option(message.URIQuery, "q"))
		m.Options = message.Options{m.Options[1], m.Options[0], m.Options[2]}
		m.Payload = []byte("body")
		request(t, client, server, m)
	})
	t.Run("OS-3.1-4,OS-3.1-7,OS-3.1-3 roles are switched with the same context", func(t *testing.T) {
		request(t, server, client, get())
		request(t, client, server, get())
	})
	t.Run("OS-8.2-13,OS-8.2-1,OS-D.5.2-1 outer options added on the way do not come in", func(t *testing.T) {
		m, _, err := client.ProtectRequest(get(), RequestOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range []message.Option{option(message.Observe, ""), option(message.MaxAge, "\x05"), option(message.NoResponse, "\x1a"), option(9998, "x"), option(9999, "x"), option(message.IfMatch, "x")} {
			m.Options = coapmsg.Insert(m.Options, o)
		}
		inner, x, err := server.UnprotectRequest(m)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, inner, get())
		equal(t, x.Observe(), false)
	})
	t.Run("OS-D.5.1-1 another request code outside changes nothing", func(t *testing.T) {
		m, _, err := client.ProtectRequest(get(), RequestOptions{})
		if err != nil {
			t.Fatal(err)
		}
		m.Code = codes.DELETE
		inner, _, err := server.UnprotectRequest(m)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, inner, get())
	})
}

func TestUnprotectRequestRefused(t *testing.T) {
	p := testParams()
	p.SenderID, p.IDContext = []byte{7}, []byte("ctx")
	client, server := pair(t, p)
	good, _, err := client.ProtectRequest(get(), RequestOptions{})
	if err != nil {
		t.Fatal(err)
	}
	alter := func(f func(*coapmsg.OSCOREOption)) message.Message {
		o := oscoreOption(t, good)
		f(&o)
		return withOption(t, good, o.Append(nil))
	}
	for name, c := range map[string]struct {
		m    message.Message
		want error
	}{
		"OS-2-3,OS-8.2-3 no payload":         {edit(t, good, func(m *message.Message) { m.Payload = nil }), ErrMalformed},
		"no OSCORE option":                   {edit(t, good, func(m *message.Message) { m.Options = nil }), ErrNotProtected},
		"OS-2-5 two OSCORE options":          {edit(t, good, func(m *message.Message) { m.Options = append(m.Options, m.Options[0]) }), ErrMalformed},
		"OS-5-4 no Partial IV":               {alter(func(o *coapmsg.OSCOREOption) { o.PIV = nil }), ErrMalformed},
		"OS-5-4 no kid":                      {alter(func(o *coapmsg.OSCOREOption) { o.KID = nil }), ErrMalformed},
		"OS-5-4 an empty option":             {withOption(t, good, nil), ErrMalformed},
		"OS-6.1-3 Group Flag in base OSCORE": {alter(func(o *coapmsg.OSCOREOption) { o.Group = true }), ErrMalformed},
		"OS-6.1-3,OS-8.2-3 reserved bit":     {withOption(t, good, []byte{0x49, 0, 7}), ErrMalformed},
		"OS-6.1-2 Partial IV of 6 bytes":     {withOption(t, good, []byte{0x0e, 1, 2, 3, 4, 5, 6, 7}), ErrMalformed},
		"OS-8.2-5 another kid":               {alter(func(o *coapmsg.OSCOREOption) { o.KID = []byte{8} }), ErrNoContext},
		"OS-8.2-5 an empty kid":              {alter(func(o *coapmsg.OSCOREOption) { o.KID = []byte{} }), ErrNoContext},
		"OS-5-8 another kid context":         {alter(func(o *coapmsg.OSCOREOption) { o.KIDContext = []byte("ctX") }), ErrNoContext},
		"OS-5-8,OS-6.1-7 empty kid context":  {alter(func(o *coapmsg.OSCOREOption) { o.KIDContext = []byte{} }), ErrNoContext},
		"OS-8.2-7 another Partial IV":        {alter(func(o *coapmsg.OSCOREOption) { o.PIV = []byte{9} }), ErrDecryption},
		"OS-8.2-7 a bit of the ciphertext":   {edit(t, good, func(m *message.Message) { m.Payload[0] ^= 1 }), ErrDecryption},
		"OS-8.2-7 shorter than a tag":        {edit(t, good, func(m *message.Message) { m.Payload = m.Payload[:5] }), ErrDecryption},
		"a response code outside":            {edit(t, good, func(m *message.Message) { m.Code = codes.Changed }), ErrExchange},
	} {
		t.Run(name, func(t *testing.T) {
			_, x, err := server.UnprotectRequest(c.m)
			wantErr(t, err, c.want)
			if x != nil {
				t.Fatal("an exchange for a refused request")
			}
			if _, some := server.window.Highest(); some {
				t.Fatal("the window moved")
			}
		})
	}
	t.Run("OS-8.2-7,OS-8.2-9 the good one is still accepted", func(t *testing.T) {
		if _, _, err := server.UnprotectRequest(good); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("OS-5-8 a kid context for a context without ID Context", func(t *testing.T) {
		q := p
		q.IDContext = nil
		_, server := pair(t, q)
		_, _, err := server.UnprotectRequest(good)
		wantErr(t, err, ErrNoContext)
	})
	t.Run("every decryption failure has the same text", func(t *testing.T) {
		texts := make(map[string]bool)
		fresh, _, err := client.ProtectRequest(get(), RequestOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for i := range fresh.Payload {
			_, _, err := server.UnprotectRequest(edit(t, fresh, func(m *message.Message) { m.Payload[i] ^= 0x80 }))
			wantErr(t, err, ErrDecryption)
			texts[err.Error()] = true
			_, _, err = server.UnprotectRequest(edit(t, fresh, func(m *message.Message) { m.Payload = m.Payload[:i+1] }))
			if i+1 < len(fresh.Payload) {
				wantErr(t, err, ErrDecryption)
				texts[err.Error()] = true
			}
		}
		equal(t, len(texts), 1)
	})
}

// sealRaw protects any plaintext, as a faulty peer might.
func sealRaw(t *testing.T, c *Context, plaintext []byte) message.Message {
	t.Helper()
	m, x, err := c.ProtectRequest(get(), RequestOptions{})
	if err != nil {
		t.Fatal(err)
	}
	nonce := AppendNonce(nil, c.nonceSize, c.senderID, x.requestPIV(), *c.commonIV)
	m.Payload = c.sender.Seal(nil, nonce, plaintext, appendAAD(nil, c.alg, c.senderID, x.requestPIV()))
	return m
}

func TestMalformedPlaintext(t *testing.T) {
	client, server := pair(t, testParams())
	for name, plaintext := range map[string][]byte{
		"OS-5.3-2 empty":                                  {},
		"OS-5.3-2 malformed options":                      {1, 0xf0},
		"OS-5.3-2 a bare payload marker":                  {1, 0xff},
		"OS-4.3-4 a signalling code":                      {0xe2},
		"OS-4.2-2 a response code in a request":           {0x45},
		"OS-4.1.3.7-1 an OSCORE option inside":            {1, 0x90},
		"OS-4.1.1-3 an option inside that must be outer":  {1, 0x31, 'h'},
		"OS-5.3-2 the length of an option beyond the end": {1, 0xb5, 'a'},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := server.UnprotectRequest(sealRaw(t, client, plaintext))
			wantErr(t, err, ErrMalformed)
		})
	}
}

func TestReplay(t *testing.T) {
	client, server := pair(t, testParams())
	send := func(seq uint64) message.Message {
		client.sequence = sequenceAt(t, seq)
		m, _, err := client.ProtectRequest(get(), RequestOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	zero := send(0)
	for _, step := range []struct {
		name string
		m    message.Message
		want error
	}{
		{"OS-3.2.2-2 the first request, number 0, is accepted", zero, nil},
		{"OS-3.2.2-2,OS-7.4-1 the same again is a replay", zero, ErrReplay},
		{"OS-7.4-1 40 is accepted", send(40), nil},
		{"OS-7.4-1 an older one within the window", send(9), nil},
		{"OS-7.4-1 the older one again", send(9), ErrReplay},
		{"OS-7.4-4 below the window", send(8), ErrReplay},
		{"OS-7.4-1 out of order", send(39), nil},
		{"OS-7.4-1 far ahead", send(1 << 39), nil},
		{"OS-7.4-4 what was inside before", send(38), ErrReplay},
	} {
		t.Run(step.name, func(t *testing.T) {
			_, _, err := server.UnprotectRequest(step.m)
			if !errors.Is(err, step.want) {
				t.Fatalf("error %v", err)
			}
		})
	}
	t.Run("OS-7.4-5 of concurrent copies one is accepted", func(t *testing.T) {
		const rounds, copies = 500, 4 // so many that some do meet
		for i := range rounds {
			m := send(1<<39 + 5 + uint64(i))
			var wg sync.WaitGroup
			var accepted atomic.Int32
			for range copies {
				wg.Go(func() {
					_, x, err := server.UnprotectRequest(m)
					switch {
					case err == nil:
						accepted.Add(1)
					case !errors.Is(err, ErrReplay) || x != nil:
						t.Error(x, err)
					}
				})
			}
			wg.Wait()
			equal(t, accepted.Load(), int32(1))
		}
	})
}

// TestOrderOfChecks gives messages with several faults: the first step that
// fails tells.
func TestOrderOfChecks(t *testing.T) {
	client, server := pair(t, testParams())
	seen, _, err := client.ProtectRequest(get(), RequestOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := server.UnprotectRequest(seen); err != nil {
		t.Fatal(err)
	}
	spoil := func(m *message.Message) { m.Payload[0] ^= 1 }
	for name, c := range map[string]struct {
		m    message.Message
		want error
	}{
		"decompression before look-up":  {withOption(t, seen, []byte{0x89, 0, 9}), ErrMalformed},
		"look-up before replay":         {withOption(t, seen, []byte{9, 0, 9}), ErrNoContext},
		"replay before decryption":      {edit(t, seen, spoil), ErrReplay},
		"decryption before the message": {edit(t, sealRaw(t, client, nil), spoil), ErrDecryption},
	} {
		t.Run("OS-8.2-2 "+name, func(t *testing.T) {
			_, _, err := server.UnprotectRequest(c.m)
			wantErr(t, err, c.want)
		})
	}
	t.Run("OS-8.2-2,OS-8.2-9 the window before the message", func(t *testing.T) {
		m := sealRaw(t, client, nil)
		_, _, err := server.UnprotectRequest(m)
		wantErr(t, err, ErrMalformed)
		_, _, err = server.UnprotectRequest(m)
		wantErr(t, err, ErrReplay)
	})
}

// TestSeveralContexts shows how a receiver with contexts of the same kid
// proceeds.
func TestSeveralContexts(t *testing.T) {
	a, b := testParams(), testParams()
	b.MasterSecret = []byte("another secret, same ids")
	_, serverA := pair(t, a)
	clientB, serverB := pair(t, b)
	t.Run("OS-3.3-4,OS-4.1.3.2-1 each match is tried, the others' windows stay", func(t *testing.T) {
		m, _, err := clientB.ProtectRequest(get(), RequestOptions{})
		if err != nil {
			t.Fatal(err)
		}
		o := oscoreOption(t, m)
		equal(t, []bool{serverA.Matches(o), serverB.Matches(o)}, []bool{true, true})
		_, _, err = serverA.UnprotectRequest(m)
		wantErr(t, err, ErrDecryption)
		if _, _, err := serverB.UnprotectRequest(m); err != nil {
			t.Fatal(err)
		}
		if _, some := serverA.window.Highest(); some {
			t.Fatal("the other window moved")
		}
	})
}
