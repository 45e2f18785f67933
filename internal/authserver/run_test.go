package authserver

import (
	"context"
	"testing"
	"time"

	"github.com/cohort-iot/cohort/ace"
)

func TestRun(t *testing.T) {
	t.Parallel()
	t.Run("it sweeps from time to time until it is ended", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.issue(t, b.lamp, room1(ace.RoleResponder))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			b.Run(ctx, func(err error) { t.Error(err) })
		}()
		b.clock.Advance(time.Hour)
		for len(must(b.Tokens(ace.TokenHash{}, 1))) > 0 {
			b.clock.Advance(defaultSweepInterval)
		}
		cancel()
		<-ended
	})
	t.Run("it begins by telling of the revoked tokens once more, as who acts upon them may have been cut off", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		resp, _ := b.issue(t, b.lamp, room1(ace.RoleResponder))
		b.issue(t, b.sw, room1(ace.RoleResponder))
		h := ace.HashToken(resp.AccessToken)
		for range 2 { // the operator may ask again, too
			if err := b.RevokeToken(t.Context(), h, "lost"); err != nil {
				t.Fatal(err)
			}
		}
		if len(b.events.revoked) != 2 || len(b.events.changed) != 2 {
			t.Fatalf("%v, %v", b.events.revoked, b.events.changed)
		}
		b.restart(t)
		b.events.revoked = nil
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		b.Run(ctx, func(err error) { t.Error(err) })
		if len(b.events.revoked) != 1 || b.events.revoked[0] != h {
			t.Fatal(b.events.revoked)
		}
	})
	t.Run("faults of the store are told and do not end it", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		if err := b.keys.Close(); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		n := 0
		b.Run(ctx, func(error) { n++; cancel() })
		if n != 1 {
			t.Fatal(n)
		}
	})
}
