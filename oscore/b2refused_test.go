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
