package ace

import (
	"errors"
	"testing"

	"github.com/plgd-dev/go-coap/v3/message/codes"
)

func TestRefusals(t *testing.T) {
	t.Parallel()
	t.Run("each has a code and a name of its own", func(t *testing.T) {
		t.Parallel()
		names := map[string]bool{}
		for _, r := range Refusals() {
			if r.Code() < codes.BadRequest || r.String() == "" || names[r.String()] {
				t.Errorf("%d: %v %q", r, r.Code(), r)
			}
			names[r.String()] = true
		}
		if numRefusals.Code() != codes.InternalServerError || numRefusals.String() == "" {
			t.Error("unknown ones have neither")
		}
	})
	t.Run("AC-083,AC-084,AC-086,AC-087,AC-088,AC-089,AC-018,AC-077 the codes are those of the texts", func(t *testing.T) {
		t.Parallel()
		for r, want := range map[Refusal]codes.Code{
			RefusedMalformed: codes.BadRequest, RefusedWrapper: codes.Unauthorized, RefusedClaims: codes.BadRequest, RefusedIssuer: codes.Unauthorized,
			RefusedExpired: codes.Unauthorized, RefusedAudience: codes.Forbidden, RefusedScope: codes.BadRequest, RefusedCNonce: codes.Unauthorized,
			RefusedRate: 4<<5 | 29,
		} {
			if r.Code() != want {
				t.Errorf("%v: %v", r, r.Code())
			}
		}
	})
	t.Run("what becomes of tokens is counted by its reason", func(t *testing.T) {
		t.Parallel()
		m := &meter{refused: map[Refusal]int{}}
		b := newBench(t, func(c *RSConfig) { c.Meter = m })
		_ = b.judged(b.token(nil))
		_ = b.judged(b.token(func(c *Claims) { c.Audience = nil }))
		_ = b.judged(unhex("ff"))
		if m.taken != 1 || len(m.refused) != 2 || m.refused[RefusedAudience] != 1 || m.refused[RefusedMalformed] != 1 {
			t.Fatal(m)
		}
		b.count(errors.New("x"))
		if m.refused[RefusedInternal] != 1 {
			t.Fatal(m)
		}
	})
}

// meter is an RSMeter for tests.
type meter struct {
	taken   int
	refused map[Refusal]int
}

func (m *meter) TokenTaken()            { m.taken++ }
func (m *meter) TokenRefused(r Refusal) { m.refused[r]++ }
