package manager

import (
	"context"
	"strings"
	"testing"

	"github.com/cohort-iot/cohort/cose"
)

func TestRefusalsAreAudited(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ctx := context.Background()
	w.group("g1", nil)
	d := w.device("curious", cose.CurveEd25519, entry("g1", responder))
	count := func() int { return strings.Count(w.auditLog(), `"event":"request.refused"`) }
	for range 100 {
		if _, err := w.Num(ctx, d.caller, "g1"); KindOf(err) != KindNotMember {
			t.Fatal(err)
		}
	}
	eventually(t, "written", func() bool { return count() == 1 })
	w.clock.Advance(2 * refusalPause)
	_, _ = w.Num(ctx, d.caller, "g1")
	eventually(t, "the repetitions, as a number", func() bool { return count() == 2 })
	if log := w.auditLog(); !strings.Contains(log, `"client":"curious"`) || !strings.Contains(log, `"cause":"members only"`) {
		t.Fatal(log)
	}
	t.Run("strangers are only measured", func(t *testing.T) {
		_, _ = w.Num(ctx, Caller{}, "g1")
		w.Stop()
		if n := count(); n != 2 {
			t.Fatal(n)
		}
	})
}
