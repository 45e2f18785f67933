package oscore

import (
	"bytes"
	"errors"
	"sync"
	"testing"

	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// counting is a random source whose bytes tell draws apart.
type counting struct{ n byte }

func (c *counting) Read(b []byte) (int, error) {
	c.n++
	for i := range b {
		b[i] = c.n
	}
	return len(b), nil
}

type brokenRandom struct{}

func (brokenRandom) Read([]byte) (int, error) { return 0, errors.New("no entropy") }

func b2Pair(t testing.TB) (*B2Client, *B2Server) {
	t.Helper()
	p := testParams()
	p.SenderID = []byte{5}
	return must(NewB2Client(p, nil))(t), must(NewB2Server(reverse(p), nil))(t)
}

// b2Request1 runs request #1 and gives response #1.
func b2Request1(t testing.TB, c *B2Client, s *B2Server) (request, response message.Message, x *Exchange) {
	t.Helper()
	request, x, err := c.Request1(get())
	if err != nil {
		t.Fatal(err)
	}
	opened, err := s.Open(request)
	if err != nil {
		t.Fatal(err)
	}
	if opened.Context != nil || opened.Exchange != nil {
		t.Fatal("request 1 established a context")
	}
	return request, opened.Message, x
}

func TestB2Run(t *testing.T) {
	p := testParams()
	p.SenderID = []byte{5}
	client := must(NewB2Client(p, &counting{n: 0x10}))(t)
	server := must(NewB2Server(reverse(p), &counting{n: 0x50}))(t)

	request1, response1, x1 := b2Request1(t, client, server)
	r1 := bytes.Repeat([]byte{0x11}, 8)
	t.Run("OS-B.2-2 kid context of request 1 is bstr(R1)", func(t *testing.T) {
		equal(t, oscoreOption(t, request1).KIDContext, append([]byte{0x48}, r1...))
		equal(t, oscoreOption(t, request1).KID, []byte{5})
	})
	o := oscoreOption(t, response1)
	r2 := must(unwrap(o.KIDContext))(t)
	t.Run("OS-B.2-3,OS-B.2.1-2 response 1 carries bstr(R2), R2 = S2 || HMAC", func(t *testing.T) {
		equal(t, len(r2), 16)
		equal(t, r2[:8], bytes.Repeat([]byte{0x51}, 8))
		equal(t, response1.Token, request1.Token)
	})
	t.Run("OS-B.2-3,OS-5-7 it is protected with ID Context R2 || R1", func(t *testing.T) {
		q := p
		q.IDContext = concat(r2, r1)
		second := must(NewContext(q, NewEphemeralSequence()))(t)
		inner, err := second.unprotectResponse(response1, &Exchange{ctx: second, client: true, piv: x1.piv, pivSize: x1.pivSize})
		if err != nil {
			t.Fatal(err)
		}
		equal(t, inner.Code, codes.Unauthorized)
	})
	t.Run("AnswersB2 recognises it", func(t *testing.T) {
		equal(t, AnswersB2(response1), true)
		equal(t, AnswersB2(request1), true) // an outer form only
		equal(t, AnswersB2(content("x")), false)
	})
	t.Run("OS-B.2-4 no request 2 before response 1 verified", func(t *testing.T) {
		_, _, err := client.Request2(get())
		wantErr(t, err, ErrExchange)
		_, err = client.Response1(edit(t, response1, func(m *message.Message) { m.Payload[0] ^= 1 }), x1)
		wantErr(t, err, ErrDecryption)
		_, _, err = client.Request2(get())
		wantErr(t, err, ErrExchange)
	})
	if m, err := client.Response1(response1, x1); err != nil || m.Code != codes.Unauthorized {
		t.Fatalf("%v %v", m.Code, err)
	}
	want := get(option(message.URIQuery, "real"))
	request2, x2, err := client.Request2(want)
	if err != nil {
		t.Fatal(err)
	}
	id3 := concat(r2, bytes.Repeat([]byte{0x13}, 8))
	t.Run("OS-B.2-4,OS-8.2-11 request 2 carries bstr(R2 || R3)", func(t *testing.T) {
		equal(t, oscoreOption(t, request2).KIDContext, wrap(id3))
	})
	_, _, err = client.Request1(get())
	wantErr(t, err, ErrExchange)

	equal(t, server.Pending(), true)
	t.Run("OS-B.2-5,OS-B.2-7 a forged request 2 stops and changes nothing", func(t *testing.T) {
		_, err := server.Open(edit(t, request2, func(m *message.Message) { m.Payload[0] ^= 1 }))
		wantErr(t, err, ErrDecryption)
		equal(t, server.Pending(), true)
	})
	opened, err := server.Open(request2)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("OS-B.2-6 request 2 establishes the third context and is acted upon", func(t *testing.T) {
		equal(t, opened.Message, want)
		equal(t, opened.Context.IDContext(), id3)
		equal(t, opened.Context.KIDContext(), wrap(id3))
		equal(t, server.Pending(), false)
	})
	t.Run("OS-B.2-5,OS-B.2.1-2 a replayed request 2 is refused by both", func(t *testing.T) {
		_, _, _, err := server.OpenRequest2(request2)
		wantErr(t, err, ErrNoContext)
		_, _, err = opened.Context.UnprotectRequest(request2)
		wantErr(t, err, ErrReplay)
	})
	response2 := respond(t, opened.Context, opened.Exchange, content("done"), ResponseOptions{})
	t.Run("OS-B.2-7 response 2 gives the client its context", func(t *testing.T) {
		_, none, err := client.Response2(edit(t, response2, func(m *message.Message) { m.Payload[0] ^= 1 }), x2)
		wantErr(t, err, ErrDecryption)
		if none != nil {
			t.Fatal("a context")
		}
		m, ctx, err := client.Response2(response2, x2)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, m, content("done"))
		request(t, ctx, opened.Context, get())
		request(t, opened.Context, ctx, get())
	})
}

func TestB2FreshRandomness(t *testing.T) {
	t.Run("OS-B.2-1,OS-B.2-8,OS-B.2-11 R1, R2 and R3 differ from run to run and have 8 bytes or more", func(t *testing.T) {
		seen := make(map[string]bool)
		for range 50 {
			c, s := b2Pair(t)
			req1, resp1, x := b2Request1(t, c, s)
			if _, err := c.Response1(resp1, x); err != nil {
				t.Fatal(err)
			}
			req2, _, err := c.Request2(get())
			if err != nil {
				t.Fatal(err)
			}
			r1 := must(unwrap(oscoreOption(t, req1).KIDContext))(t)
			r2 := must(unwrap(oscoreOption(t, resp1).KIDContext))(t)
			id3 := must(unwrap(oscoreOption(t, req2).KIDContext))(t)
			for _, r := range [][]byte{r1, r2, id3[len(r2):]} {
				if len(r) < 8 || seen[string(r)] {
					t.Fatalf("%x", r)
				}
				seen[string(r)] = true
			}
		}
	})
	t.Run("OS-B.2-1 without randomness there is no run", func(t *testing.T) {
		if _, err := NewB2Client(testParams(), brokenRandom{}); err == nil {
			t.Fatal("client")
		}
		c := must(NewB2Client(testParams(), nil))(t)
		s := must(NewB2Server(reverse(testParams()), brokenRandom{}))(t)
		m, _, err := c.Request1(get())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Open(m); err == nil || errors.Is(err, ErrDecryption) {
			t.Fatalf("server: %v", err)
		}
	})
	t.Run("OS-B.2-3 each response 1 has a new R2", func(t *testing.T) {
		c, s := b2Pair(t)
		req, resp, _ := b2Request1(t, c, s)
		again, err := s.Open(req) // a replay cannot be told from a retry
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(oscoreOption(t, resp).KIDContext, oscoreOption(t, again.Message).KIDContext) {
			t.Fatal("R2 used twice")
		}
	})
}

func TestB2ParallelRuns(t *testing.T) {
	t.Run("OS-B.2-6 completing one run ends the others", func(t *testing.T) {
		a, s := b2Pair(t)
		b := must(NewB2Client(reverse(*s.params), nil))(t)
		_, respA, xA := b2Request1(t, a, s)
		_, respB, xB := b2Request1(t, b, s)
		must(a.Response1(respA, xA))(t)
		must(b.Response1(respB, xB))(t)
		reqA, _, err := a.Request2(get())
		if err != nil {
			t.Fatal(err)
		}
		reqB, _, err := b.Request2(get())
		if err != nil {
			t.Fatal(err)
		}
		if o, err := s.Open(reqB); err != nil || o.Context == nil {
			t.Fatal(err)
		}
		_, _, _, err = s.OpenRequest2(reqA)
		wantErr(t, err, ErrNoContext)
	})
	t.Run("OS-B.2-5 of concurrent copies of request 2 one establishes", func(t *testing.T) {
		c, s := b2Pair(t)
		_, resp, x := b2Request1(t, c, s)
		must(c.Response1(resp, x))(t)
		req2, _, err := c.Request2(get())
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		established := make(chan bool, 16)
		for range 16 {
			wg.Go(func() {
				if _, ctx, _, err := s.OpenRequest2(req2); err == nil && ctx != nil {
					established <- true
				}
			})
		}
		wg.Wait()
		equal(t, len(established), 1)
	})
	t.Run("OS-B.2.1-2,OS-B.2.1-1 a run that was forgotten is over", func(t *testing.T) {
		c, s := b2Pair(t)
		_, resp, x := b2Request1(t, c, s)
		must(c.Response1(resp, x))(t)
		req2, _, err := c.Request2(get())
		if err != nil {
			t.Fatal(err)
		}
		s.Forget()
		_, _, _, err = s.OpenRequest2(req2)
		wantErr(t, err, ErrNoContext)
		b2Request1(t, must(NewB2Client(reverse(*s.params), nil))(t), s) // a new key: still not that R2
		_, _, _, err = s.OpenRequest2(req2)
		wantErr(t, err, ErrNoContext)
	})
	t.Run("OS-B.2-7 a lost response 2 is mended by another request 2", func(t *testing.T) {
		c, s := b2Pair(t)
		_, resp, x := b2Request1(t, c, s)
		must(c.Response1(resp, x))(t)
		req2, _, err := c.Request2(get())
		if err != nil {
			t.Fatal(err)
		}
		o, err := s.Open(req2)
		if err != nil {
			t.Fatal(err)
		}
		again, x2, err := c.Request2(get())
		if err != nil {
			t.Fatal(err)
		}
		if !o.Context.Matches(oscoreOption(t, again)) {
			t.Fatal("does not match the established context")
		}
		_, sx, err := o.Context.UnprotectRequest(again)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := c.Response2(respond(t, o.Context, sx, content("x"), ResponseOptions{}), x2); err != nil {
			t.Fatal(err)
		}
	})
}

func TestB2Refused(t *testing.T) {
	c, s := b2Pair(t)
	req1, resp1, x1 := b2Request1(t, c, s)
	with := func(m message.Message, f func(*coapmsg.OSCOREOption)) message.Message {
		o := oscoreOption(t, m)
		f(&o)
		return withOption(t, m, o.Append(nil))
	}
	kidContext := func(b []byte) func(*coapmsg.OSCOREOption) {
		return func(o *coapmsg.OSCOREOption) { o.KIDContext = b }
	}
	for name, v := range map[string]struct {
		m    message.Message
		want error
	}{
		"OS-B.2-10 no kid context":            {with(req1, kidContext(nil)), ErrNoContext},
		"OS-B.2-2 R1 not wrapped":             {with(req1, kidContext([]byte("12345678"))), ErrNoContext},
		"OS-B.2-2 wrapped with surplus bytes": {with(req1, kidContext(append(wrap(make([]byte, 8)), 0))), ErrNoContext},
		"OS-B.2-2 wrapped in the long form":   {with(req1, kidContext(append([]byte{0x58, 8}, make([]byte, 8)...))), ErrNoContext},
		"OS-B.2-8 R1 too short":               {with(req1, kidContext(wrap(make([]byte, 7)))), ErrNoContext},
		"another R1":                          {with(req1, kidContext(wrap(make([]byte, 8)))), ErrDecryption},
		"OS-8.2-5 another client":             {with(req1, func(o *coapmsg.OSCOREOption) { o.KID = []byte{6} }), ErrNoContext},
		"OS-5-4 no Partial IV":                {with(req1, func(o *coapmsg.OSCOREOption) { o.PIV = nil }), ErrMalformed},
		"OS-B.2-5 an R2 nobody issued":        {with(req1, kidContext(wrap(make([]byte, 24)))), ErrDecryption},
		"a response":                          {edit(t, req1, func(m *message.Message) { m.Code = codes.Changed }), ErrExchange},
		"not protected":                       {get(), ErrNotProtected},
	} {
		t.Run("server: "+name, func(t *testing.T) {
			_, err := s.Open(v.m)
			wantErr(t, err, v.want)
		})
	}
	t.Run("OS-B.2-10 a static context knows nothing of it", func(t *testing.T) {
		p := reverse(*c.params)
		_, _, err := must(NewContext(p, NewEphemeralSequence()))(t).UnprotectRequest(req1)
		wantErr(t, err, ErrNoContext)
	})
	for name, v := range map[string]struct {
		m    message.Message
		want error
	}{
		"OS-B.2-3 no kid context":  {with(resp1, kidContext(nil)), ErrMalformed},
		"OS-B.2-3 R2 not wrapped":  {with(resp1, kidContext([]byte("12345678"))), ErrMalformed},
		"OS-B.2-7 another R2":      {with(resp1, kidContext(wrap(make([]byte, 16)))), ErrDecryption},
		"OS-8.4-5 not protected":   {content("x"), ErrNotProtected},
		"OS-B.2-7 a bit flipped":   {edit(t, resp1, func(m *message.Message) { m.Payload[2] ^= 4 }), ErrDecryption},
		"R2 too long for requests": {with(resp1, kidContext(wrap(make([]byte, 240)))), ErrTooLong},
	} {
		t.Run("client: "+name, func(t *testing.T) {
			_, err := c.Response1(v.m, x1)
			wantErr(t, err, v.want)
		})
	}
	t.Run("client: OS-B.2-7 after all of them response 1 verifies", func(t *testing.T) {
		must(c.Response1(resp1, x1))(t)
	})
	t.Run("client: twice", func(t *testing.T) {
		_, err := c.Response1(resp1, x1)
		wantErr(t, err, ErrExchange)
	})
	t.Run("invalid parameters", func(t *testing.T) {
		_, err := NewB2Client(Params{}, nil)
		wantErr(t, err, ErrParams)
		_, err = NewB2Server(Params{}, nil)
		wantErr(t, err, ErrParams)
		_, err = ContinueB2(Params{}, nil, nil)
		wantErr(t, err, ErrParams)
		client, _ := pair(t, testParams())
		_, err = ContinueB2(testParams(), client, nil)
		wantErr(t, err, ErrParams)
	})
	t.Run("steps out of order", func(t *testing.T) {
		c, _ := b2Pair(t)
		_, _, err := c.Response2(content("x"), nil)
		wantErr(t, err, ErrExchange)
		_, err = c.Response1(resp1, nil)
		wantErr(t, err, ErrExchange)
	})
}

// TestB2ServerStarts is a server that lost its mutable state: it answers a
// request of the established context with response #1.
func TestB2ServerStarts(t *testing.T) {
	run := func(t *testing.T, p Params, server *B2Server, client *Context, o RequestOptions) {
		t.Helper()
		m, x, err := client.ProtectRequest(get(), o)
		if err != nil {
			t.Fatal(err)
		}
		opened, err := server.Open(m)
		if err != nil || opened.Context != nil {
			t.Fatalf("%v", err)
		}
		_, err = client.UnprotectResponse(opened.Message, x)
		wantErr(t, err, ErrDecryption)
		equal(t, AnswersB2(opened.Message), true)
		c := must(ContinueB2(p, client, nil))(t)
		must(c.Response1(opened.Message, x))(t)
		req2, x2, err := c.Request2(get())
		if err != nil {
			t.Fatal(err)
		}
		second, err := server.Open(req2)
		if err != nil || second.Context == nil {
			t.Fatalf("%v", err)
		}
		_, ctx, err := c.Response2(respond(t, second.Context, second.Exchange, content("x"), ResponseOptions{}), x2)
		if err != nil {
			t.Fatal(err)
		}
		request(t, ctx, second.Context, get())
	}
	t.Run("OS-B.2-9 a context of an earlier run, found by its kid context", func(t *testing.T) {
		c, s := b2Pair(t)
		_, resp, x := b2Request1(t, c, s)
		must(c.Response1(resp, x))(t)
		req2, x2, err := c.Request2(get())
		if err != nil {
			t.Fatal(err)
		}
		o, err := s.Open(req2)
		if err != nil {
			t.Fatal(err)
		}
		_, ctx, err := c.Response2(respond(t, o.Context, o.Exchange, content("x"), ResponseOptions{}), x2)
		if err != nil {
			t.Fatal(err)
		}
		restarted := must(NewB2Server(*s.params, nil))(t)
		run(t, *c.params, restarted, ctx, RequestOptions{})
	})
	t.Run("OS-B.2-9 a static context whose ID Context the server knows", func(t *testing.T) {
		p := testParams()
		p.IDContext = []byte("id1")
		client, _ := pair(t, p)
		server := must(NewB2Server(reverse(p), nil))(t)
		run(t, p, server, client, RequestOptions{OmitIDContext: true})
		run(t, p, server, client, RequestOptions{})
	})
}
