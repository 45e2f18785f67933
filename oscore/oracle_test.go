package oscore

import (
	"crypto/cipher"
	"errors"
	"fmt"
	"testing"

	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/plgd-dev/go-coap/v3/message"
	"pgregory.net/rapid"
)

// recorder is an AEAD that notes which nonces it has seen with which
// plaintext.
type recorder struct {
	cipher.AEAD
	seen map[string]bool
	fail func(string)
}

func (r *recorder) Seal(dst, nonce, plaintext, aad []byte) []byte {
	if r.seen[string(nonce)] {
		r.fail(fmt.Sprintf("nonce %x twice", nonce))
	}
	r.seen[string(nonce)] = true
	return r.AEAD.Seal(dst, nonce, plaintext, aad)
}

func record(c *Context, fail func(string)) {
	c.sender = &recorder{AEAD: c.sender, seen: make(map[string]bool), fail: fail}
}

func TestRecorderNoticesReuse(t *testing.T) {
	client, _ := pair(t, testParams())
	var got string
	record(client, func(s string) { got = s })
	for range 2 {
		client.sequence = sequenceAt(t, 3) // the planted fault
		if _, _, err := client.ProtectRequest(get(), RequestOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if got == "" {
		t.Fatal("a planted reuse went unnoticed")
	}
}

// TestNonceUniqueness drives two endpoints that are client and server at once
// over a network that loses, delays and repeats.
func TestNonceUniqueness(t *testing.T) {
	t.Run("OS-D.4-1,OS-7.2-1,OS-8.3-3 each key sees each nonce once", rapid.MakeCheck(func(t *rapid.T) {
		p := testParams()
		var ends [2]*Context
		for i, q := range []Params{p, reverse(p)} {
			c, err := NewContext(q, NewEphemeralSequence())
			if err != nil {
				t.Fatal(err)
			}
			record(c, func(s string) { t.Fatal(s) })
			ends[i] = c
		}
		type flying struct {
			to int
			m  message.Message
			x  *Exchange // of the client, for responses
		}
		type served struct {
			at     int
			sx, cx *Exchange
		}
		var air []flying
		var open []served
		var lost [2]uint64 // the peer's next number when the window was lost
		clientOf := make(map[string]*Exchange)
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			switch rapid.IntRange(0, 4).Draw(t, "step") {
			case 0, 1:
				from := rapid.IntRange(0, 1).Draw(t, "from")
				m := get()
				if rapid.Bool().Draw(t, "observe") {
					m.Options = coapmsg.Insert(m.Options, option(message.Observe, ""))
				}
				out, x, err := ends[from].ProtectRequest(m, RequestOptions{})
				if err != nil {
					t.Fatal(err)
				}
				clientOf[fmt.Sprint(from, x.RequestSequence())] = x
				air = append(air, flying{1 - from, out, nil})
			case 2, 3: // deliver, but leave it in the air for a repetition
				if len(air) == 0 {
					continue
				}
				f := air[rapid.IntRange(0, len(air)-1).Draw(t, "message")]
				if f.x != nil {
					_, _ = ends[f.to].UnprotectResponse(f.m, f.x)
					continue
				}
				_, sx, err := ends[f.to].UnprotectRequest(f.m)
				// Only what was made after the loss can carry an Echo value.
				if errors.Is(err, ErrWindowInvalid) && sx.RequestSequence() >= lost[f.to] && rapid.Bool().Draw(t, "echo") {
					_ = ends[f.to].ConfirmFresh(sx)
				}
				if sx != nil { // accepted, or to be challenged
					open = append(open, served{f.to, sx, clientOf[fmt.Sprint(1-f.to, sx.RequestSequence())]})
				}
			case 4:
				if len(open) == 0 {
					continue
				}
				s := open[rapid.IntRange(0, len(open)-1).Draw(t, "exchange")]
				m, err := ends[s.at].ProtectResponse(content("x"), s.sx, ResponseOptions{PIV: rapid.Bool().Draw(t, "piv")})
				if err != nil {
					t.Fatal(err)
				}
				air = append(air, flying{1 - s.at, m, s.cx})
			}
			if rapid.IntRange(0, 15).Draw(t, "restart") == 0 {
				who := rapid.IntRange(0, 1).Draw(t, "who")
				ends[who].Invalidate()
				lost[who] = ends[1-who].sequence.next.Load()
			}
		}
	}))
}
