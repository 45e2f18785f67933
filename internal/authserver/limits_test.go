package authserver

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/internal/ratelimit"
)

func TestTokenLimits(t *testing.T) {
	t.Parallel()
	t.Run("a client that asks too often is counted, and costs no record", func(t *testing.T) {
		t.Parallel()
		b := newBenchWith(t, func(c *Config) { c.TokenLimits = &ratelimit.Limits{PerKey: ratelimit.Rate{PerSecond: 1, Burst: 2}} })
		for range 2 {
			b.issueFor(t, b.lamp, room1(ace.RoleResponder))
		}
		before := b.memory.Len()
		_, err := b.Issue(t.Context(), b.peer(b.lamp), room1(ace.RoleResponder))
		var e *ace.Error
		if !errors.As(err, &e) || e.Code != codes.Code(4<<5|29) || e.Payload() != nil || e.RetryAfter != time.Second || b.memory.Len() != before {
			t.Fatal(err)
		}
		b.issueFor(t, b.sw, room1(ace.RoleResponder))
		b.clock.Advance(time.Second)
		b.issueFor(t, b.lamp, room1(ace.RoleResponder))
	})
	t.Run("a resource server gets no token", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		_, gm2 := b.remote(t, "gm2")
		_, err := b.Issue(t.Context(), gm2, room1(ace.RoleResponder))
		var e *ace.Error
		if !errors.As(err, &e) || e.Number != ace.UnauthorizedClient {
			t.Fatal(err)
		}
	})
	t.Run("the configuration is checked", func(t *testing.T) {
		t.Parallel()
		_, err := New(Config{IntrospectPath: "x", ListPath: "y", SweepInterval: -1, TokenLimits: &ratelimit.Limits{Keys: -1}}, nil)
		if err == nil || strings.Count(err.Error(), "\n") != 5 {
			t.Fatal(err)
		}
	})
}
