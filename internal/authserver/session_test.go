package authserver

import (
	"strings"
	"testing"
)

func TestSessions(t *testing.T) {
	t.Parallel()
	t.Run("the newest context is used without ado", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		n := b.peer(b.sw)
		for range 3 { // restarts of the device
			x := b.Began(n)
			for range 2 {
				if err := b.Used(t.Context(), x); err != nil {
					t.Fatal(err)
				}
			}
		}
		if len(b.events.alarms) != 0 {
			t.Fatal("restarts raise an alarm")
		}
	})
	t.Run("a superseded context in use again raises one alarm", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		n := b.peer(b.sw)
		first, second := b.Began(n), b.Began(n)
		for range 2 {
			wantErr(t, b.Used(t.Context(), first), ErrSuperseded)
		}
		if err := b.Used(t.Context(), second); err != nil {
			t.Fatal(err)
		}
		if len(b.events.alarms) != 1 || b.events.alarms[0] != "switch" || must(b.Client("switch")).Alarms != 1 {
			t.Fatal("alarms", b.events.alarms)
		}
		if log := b.log(t); !strings.Contains(log[len(log)-1], `"client.secret-in-use-twice"`) {
			t.Fatal(log[len(log)-1])
		}
		third := b.Began(n) // the first device establishes another one
		wantErr(t, b.Used(t.Context(), second), ErrSuperseded)
		if len(b.events.alarms) != 2 || b.Used(t.Context(), third) != nil {
			t.Fatal("alarms", b.events.alarms)
		}
	})
	t.Run("clients do not disturb each other", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		x := b.Began(b.peer(b.sw))
		b.Began(b.peer(b.lamp))
		if err := b.Used(t.Context(), x); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("contexts of a revoked client are refused without alarm", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		x := b.Began(b.peer(b.sw))
		if err := b.RevokeClient(t.Context(), "switch", "lost"); err != nil {
			t.Fatal(err)
		}
		wantErr(t, b.Used(t.Context(), x), ErrSuperseded)
		if len(b.events.alarms) != 0 {
			t.Fatal("alarms", b.events.alarms)
		}
	})
}
