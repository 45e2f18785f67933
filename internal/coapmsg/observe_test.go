package coapmsg

import (
	"testing"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

func TestSameObservation(t *testing.T) {
	reg := message.Message{Code: codes.GET, Options: message.Options{opt(3, "h"), opt(6, ""), opt(11, "a"), opt(11, "b")}, Token: []byte{1}}
	for name, c := range map[string]struct {
		opts message.Options
		same bool
	}{
		"Observe 1":          {message.Options{opt(3, "h"), opt(6, "\x01"), opt(11, "a"), opt(11, "b")}, true},
		"ETags":              {message.Options{opt(3, "h"), opt(4, "x"), opt(4, "y"), opt(6, ""), opt(11, "a"), opt(11, "b")}, true},
		"no Observe":         {message.Options{opt(3, "h"), opt(11, "a"), opt(11, "b")}, true},
		"another path":       {message.Options{opt(3, "h"), opt(6, "\x01"), opt(11, "a"), opt(11, "c")}, false},
		"more":               {message.Options{opt(3, "h"), opt(6, "\x01"), opt(11, "a"), opt(11, "b"), opt(17, "")}, false},
		"less":               {message.Options{opt(3, "h"), opt(6, "\x01"), opt(11, "a")}, false},
		"an option for this": {message.Options{opt(3, "h"), opt(6, "\x01"), opt(11, "a"), opt(15, "b")}, false},
	} {
		t.Run("OS-4.1.3.5-5 "+name, func(t *testing.T) {
			can := message.Message{Code: codes.GET, Options: c.opts, Token: []byte{2}}
			equal(t, SameObservation(reg, can), c.same)
			equal(t, SameObservation(can, reg), c.same)
		})
	}
	t.Run("OS-4.1.3.5-5 another code, another payload", func(t *testing.T) {
		fetch := reg
		fetch.Code = FETCH
		equal(t, SameObservation(reg, fetch), false)
		other := fetch
		other.Payload = []byte("x")
		equal(t, SameObservation(fetch, other), false)
	})
}
