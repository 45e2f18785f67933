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
