package oscore

import (
	"testing"

	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

func TestB2ServerRefusesWhatIsNoRequest(t *testing.T) {
	c, s := b2Pair(t)
	m, _, err := c.Request1(get())
	if err != nil {
		t.Fatal(err)
	}
	alter := func(f func(*coapmsg.OSCOREOption)) message.Message {
		o := oscoreOption(t, m)
		f(&o)
		return withOption(t, m, o.Append(nil))
	}
	for name, q := range map[string]struct {
		m    message.Message
		want error
	}{
		"OS-5-4 no Partial IV":   {alter(func(o *coapmsg.OSCOREOption) { o.PIV = nil }), ErrMalformed},
		"OS-5-4 no kid":          {alter(func(o *coapmsg.OSCOREOption) { o.KID = nil }), ErrMalformed},
		"OS-8.2-5 another kid":   {alter(func(o *coapmsg.OSCOREOption) { o.KID = []byte{9} }), ErrNoContext},
		"a response":             {edit(t, m, func(m *message.Message) { m.Code = codes.Changed }), ErrExchange},
		"an unprotected request": {get(), ErrNotProtected},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.Open(q.m)
			wantErr(t, err, q.want)
			_, err = s.OpenRequest1(q.m)
			wantErr(t, err, q.want)
			_, _, _, err = s.OpenRequest2(q.m)
			wantErr(t, err, q.want)
			equal(t, s.Pending(), false)
		})
	}
	t.Run("nothing to forget", func(t *testing.T) {
		s.Forget()
		s.Forget()
		equal(t, s.Pending(), false)
	})
}

func TestB2FirstRunSurvivesTheBeginningOfASecond(t *testing.T) {
	t.Run("OS-B.2.1-2,OS-B.2-5 R2 of the run begun first is still good", func(t *testing.T) {
		a, s := b2Pair(t)
		b := must(NewB2Client(reverse(*s.params), nil))(t)
		_, resp, x := b2Request1(t, a, s)
		b2Request1(t, b, s)
		must(a.Response1(resp, x))(t)
		req2, _, err := a.Request2(get())
		if err != nil {
			t.Fatal(err)
		}
		if o, err := s.Open(req2); err != nil || o.Context == nil {
			t.Fatal(err)
		}
	})
}

func TestB2ResponseOneIsUnauthorized(t *testing.T) {
	t.Run("OS-B.2-3,OS-B.2-4 a verified response 1 with another code does not go on", func(t *testing.T) {
		c, s := b2Pair(t)
		req, x, err := c.Request1(get())
		if err != nil {
			t.Fatal(err)
		}
		id1, first, err := s.first(oscoreOption(t, req))
		if err != nil {
			t.Fatal(err)
		}
		_, sx, err := first.UnprotectRequest(req)
		if err != nil {
			t.Fatal(err)
		}
		r2 := must(s.issue())(t)
		p := *s.params
		p.IDContext = concat(r2, id1)
		second := must(newContext(p, NewEphemeralSequence(), wrap(r2)))(t)
		sx.ctx = second
		_, err = c.Response1(respond(t, second, sx, content("x"), ResponseOptions{KIDContext: true}), x)
		wantErr(t, err, ErrMalformed)
		_, _, err = c.Request2(get())
		wantErr(t, err, ErrExchange)
	})
}

func TestB2ServerForgetsTheRun(t *testing.T) {
	t.Run("OS-B.2-9,OS-B.2-7 request 2 answered with a response 1 begins anew", func(t *testing.T) {
		c, s := b2Pair(t)
		_, resp, x := b2Request1(t, c, s)
		must(c.Response1(resp, x))(t)
		req2, x2, err := c.Request2(get())
		if err != nil {
			t.Fatal(err)
		}
		s.Forget()
		o, err := s.Open(req2)
		if err != nil || o.Context != nil {
			t.Fatal(o, err)
		}
		equal(t, AnswersB2(o.Message), true)
		_, _, err = c.Response2(o.Message, x2)
		wantErr(t, err, ErrDecryption)
		must(c.Response1(o.Message, x2))(t)
		_, err = c.Response1(o.Message, x2) // its exchange is of a context that is gone
		wantErr(t, err, ErrExchange)
		again, x3, err := c.Request2(get())
		if err != nil {
			t.Fatal(err)
		}
		equal(t, len(oscoreOption(t, again).KIDContext), len(oscoreOption(t, req2).KIDContext))
		if o, err = s.Open(again); err != nil || o.Context == nil {
			t.Fatal(err)
		}
		if _, _, err := c.Response2(respond(t, o.Context, o.Exchange, content("x"), ResponseOptions{}), x3); err != nil {
			t.Fatal(err)
		}
	})
}
