package manager

import (
	"context"
	"testing"
	"time"

	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/cose"
)

func (w *world) pending(group string) map[string]PendingMember {
	w.t.Helper()
	list, err := w.Pending(context.Background(), group)
	if err != nil {
		w.t.Fatal(err)
	}
	out := map[string]PendingMember{}
	for _, p := range list {
		out[p.Node] = p
	}
	return out
}

func TestConfirmation(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ctx := context.Background()
	w.group("g1", nil)
	a, ja := w.lamp("a", "g1")
	if p := w.pending("g1")[ja.Node]; p.Stage != StageFetched || !p.Reachable {
		t.Fatalf("%+v", p)
	}
	t.Run("a later request shows that the join response arrived", func(t *testing.T) {
		if _, err := w.Num(ctx, a.caller, "g1"); err != nil {
			t.Fatal(err)
		}
		eventually(t, "confirmed", func() bool { return len(w.pending("g1")) == 0 })
	})
	t.Run("KO-RK-05 the answer to a rekeying message confirms", func(t *testing.T) {
		if _, err := w.Rekey(ctx, "g1", CauseOperator); err != nil {
			t.Fatal(err)
		}
		eventually(t, "confirmed", func() bool { return len(w.pending("g1")) == 0 })
		m, err := w.Member(ctx, "g1", ja.Node)
		if err != nil || !m.Confirmed || m.Stage != StageConfirmed {
			t.Fatalf("%+v %v", m, err)
		}
	})
	w.net.mu.Lock()
	w.net.stage = StageAcked
	w.net.mu.Unlock()
	t.Run("an acknowledgement of the transport does not confirm", func(t *testing.T) {
		if _, err := w.Rekey(ctx, "g1", CauseOperator); err != nil {
			t.Fatal(err)
		}
		eventually(t, "acked", func() bool { return w.pending("g1")[ja.Node].Stage == StageAcked })
	})
	t.Run("asking for the version does not show that one has it", func(t *testing.T) {
		if _, err := w.Num(ctx, a.caller, "g1"); err != nil {
			t.Fatal(err)
		}
		w.flushConfirms(ctx)
		if len(w.pending("g1")) != 1 {
			t.Fatal("confirmed")
		}
	})
	t.Run("one who fetches, and goes on, has it", func(t *testing.T) {
		if _, err := w.Material(ctx, a.caller, "g1"); err != nil {
			t.Fatal(err)
		}
		if st := w.pending("g1")[ja.Node].Stage; st != StageFetched {
			t.Fatal(st)
		}
		if _, _, err := w.Credentials(ctx, a.caller, "g1", nil); err != nil {
			t.Fatal(err)
		}
		eventually(t, "confirmed", func() bool { return len(w.pending("g1")) == 0 })
	})
}

func TestRetries(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *Options) {
		o.DeliveryAttempts = 3
		o.RetryFirst = 10 * time.Second
		o.SweepInterval = 24 * time.Hour
	})
	ctx := context.Background()
	w.group("g1", nil)
	a, ja := w.lamp("a", "g1")
	_, jb := w.lamp("b", "g1")
	w.net.mu.Lock()
	w.net.deaf[ja.Node] = true
	w.net.mu.Unlock()
	if _, err := w.Rekey(ctx, "g1", CauseOperator); err != nil {
		t.Fatal(err)
	}
	w.net.wait(t, 2)
	eventually(t, "b confirmed", func() bool { p := w.pending("g1"); _, waits := p[jb.Node]; return !waits })
	waitArmed := func() { eventually(t, "next attempt is planned", func() bool { return w.clock.Pending() >= 2 }) }
	t.Run("KO-RK-05,GO-12.2-4 attempts are repeated with growing waits, and end", func(t *testing.T) {
		waitArmed()
		w.clock.Advance(10 * time.Second)
		w.net.wait(t, 1)
		waitArmed()
		w.clock.Advance(10 * time.Second)
		if n := len(w.net.sentTo(ja.Node)); n != 2 {
			t.Fatalf("%d attempts", n)
		}
		w.clock.Advance(10 * time.Second)
		w.net.wait(t, 1)
		eventually(t, "given up", func() bool {
			w.delivery.mu.Lock()
			defer w.delivery.mu.Unlock()
			return len(w.delivery.jobs) == 0
		})
		if p := w.pending("g1")[ja.Node]; p.Attempts != 3 || p.Stage != StageSent {
			t.Fatalf("%+v", p)
		}
	})
	t.Run("KG-REKEY-25 the rekeying completed for the others, and the silent one fetches", func(t *testing.T) {
		k, err := w.Material(ctx, a.caller, "g1")
		if err != nil || k.Version != 1 {
			t.Fatal(err)
		}
	})
	t.Run("a newer version starts anew", func(t *testing.T) {
		w.net.mu.Lock()
		w.net.deaf[ja.Node] = false
		w.net.mu.Unlock()
		if _, err := w.Rekey(ctx, "g1", CauseOperator); err != nil {
			t.Fatal(err)
		}
		eventually(t, "all confirmed", func() bool { return len(w.pending("g1")) == 0 })
	})
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ctx := context.Background()
	w.group("g1", nil)
	a := w.device("a", cose.CurveEd25519, entry("g1", responder))
	j, err := a.tryJoin("g1", responder, func(q *groupcomm.JoinRequest) { q.ControlURI = "" })
	if err != nil {
		t.Fatal(err)
	}
	t.Run("KG-REKEY-25 a member without control URI is skipped", func(t *testing.T) {
		if _, err := w.Rekey(ctx, "g1", CauseOperator); err != nil {
			t.Fatal(err)
		}
		if p := w.pending("g1")[j.Node]; p.Reachable || p.Stage != StageWaiting {
			t.Fatalf("%+v", p)
		}
		if len(w.net.sentTo(j.Node)) != 0 {
			t.Fatal("sent")
		}
	})
}

func TestControlURI(t *testing.T) {
	t.Parallel()
	from := deviceAddr
	for uri, want := range map[string]string{
		"":                                   "",
		"coap://127.0.0.2/rekey":             "coap://127.0.0.2:5683/rekey",
		"coap://127.0.0.2:61616/a/b?x=1":     "coap://127.0.0.2:61616/a/b?x=1",
		"coap:///rekey":                      "coap://127.0.0.2:5683/rekey",
		"/rekey":                             "coap://127.0.0.2:5683/rekey",
		"coap://[::ffff:127.0.0.2]/rekey":    "coap://127.0.0.2:5683/rekey",
		"coap://127.0.0.2/ace-group/g1/node": "coap://127.0.0.2:5683/ace-group/g1/node",
	} {
		got, err := controlURI(uri, "g1", from, nil)
		if err != nil || got != want {
			t.Errorf("%q: %q, %v", uri, got, err)
		}
	}
	t.Run("KG-JOIN-11 no third party, no name, no resource of the Group Manager", func(t *testing.T) {
		for _, uri := range []string{
			"coap://127.0.0.3/rekey", "coap://lamp.local/rekey", "coap://[ff02::fd]/rekey", "coaps://127.0.0.2/rekey", "http://127.0.0.2/x",
			"coap://u@127.0.0.2/rekey", "coap://127.0.0.2/rekey#x", "coap://127.0.0.2", "coap://127.0.0.2:0/x", "coap://127.0.0.2:99999/x", "coap:rekey",
			"coap://127.0.0.2/ace-group/g1", "coap://127.0.0.2/ace-group/g1/", "coap://127.0.0.2/ace-group/g1/nodes/n1", "::", "coap://127.0.0.2/%zz",
		} {
			_, err := controlURI(uri, "g1", from, nil)
			if KindOf(err) != KindMalformed || err == nil {
				t.Errorf("%q: %v", uri, err)
			}
		}
	})
}
