package manager

import (
	"context"
	"testing"
	"time"

	"github.com/cohort-iot/cohort/cose"
)

func TestWindows(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ctx := context.Background()
	w.group("g1", func(c *GroupConfig) { c.Windows.Leave = 2 * time.Second })
	var nodes []string
	var all []*device
	for _, n := range []string{"a", "b", "c", "d"} {
		d, j := w.lamp(n, "g1")
		all, nodes = append(all, d), append(nodes, j.Node)
	}
	leave := func(i int) {
		t.Helper()
		if err := w.Leave(ctx, all[i].caller, "g1", nodes[i]); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("GC-6.2.1-2 who leaves within a window of another shares its rekeying, who is evicted or revoked waits for none", func(t *testing.T) {
		leave(0)
		if g := w.info("g1"); g.Version != 0 || g.Members != 3 || g.Due != CauseLeave {
			t.Fatalf("%+v", g)
		}
		w.clock.Advance(time.Second)
		leave(1)
		if g := w.info("g1"); g.Version != 0 || g.Due != CauseLeave {
			t.Fatalf("%+v", g)
		}
		w.clock.Advance(time.Second) // the deadline is that of the first one
		eventually(t, "one rekeying for both", func() bool { g := w.info("g1"); return g.Version == 1 && g.Due == CauseNone })
		if o := w.info("g1").Config.Windows; o.of(CauseEviction) != 0 || o.of(CauseTokenRevoked) != 0 || o.of(CauseTokenExpired) != 0 {
			t.Fatal(o)
		}
	})
	t.Run("another rekeying settles what is owed", func(t *testing.T) {
		leave(2)
		if _, err := w.Evict(ctx, "g1", nodes[3], CauseEviction); err != nil {
			t.Fatal(err)
		}
		w.clock.Advance(time.Minute)
		if g := w.info("g1"); g.Version != 2 || g.Due != CauseNone {
			t.Fatalf("%+v", g)
		}
	})
	t.Run("a start does not wait for a window", func(t *testing.T) {
		d, j := w.lamp("e", "g1")
		if err := w.Leave(ctx, d.caller, "g1", j.Node); err != nil {
			t.Fatal(err)
		}
		w.rig = func(o *Options) { o.OnRestart, o.KeepAssociations = RestartKeep, true }
		w.restart()
		if g := w.info("g1"); g.Version != 3 || g.LastCause != CauseLeave {
			t.Fatalf("%+v", g)
		}
	})
	t.Run("windows are bounded", func(t *testing.T) {
		o := Windows{Leave: 24 * time.Hour, Eviction: -1, Expiry: maxWindow}
		if o.of(CauseLeave) != maxWindow || o.of(CauseEviction) != 0 || o.of(CauseTokenRevoked) != 0 || o.of(CauseTokenExpired) != maxWindow {
			t.Fatal(o)
		}
		cfg := GroupConfig{Windows: o}.WithDefaults()
		wantKind(t, cfg.Validate(), KindConfiguration)
	})
	t.Run("tokens that expire one after the other share a rekeying", func(t *testing.T) {
		w := newWorld(t, func(o *Options) { o.SweepInterval = time.Second })
		w.group("g2", func(c *GroupConfig) { c.Windows.Expiry = time.Minute })
		for i, n := range []string{"x", "y", "z"} {
			d := w.device(n, cose.CurveEd25519, entry("g2", responder))
			d.post(time.Duration(100+10*i)*time.Second, entry("g2", responder))
			d.join("g2", responder)
		}
		w.lamp("stays", "g2")
		for range 125 { // until all have expired
			w.clock.Advance(time.Second)
		}
		eventually(t, "all are out", func() bool { return w.info("g2").Members == 1 })
		if g := w.info("g2"); g.Version != 0 || g.Due != CauseTokenExpired {
			t.Fatalf("%+v", g)
		}
		w.clock.Advance(time.Minute)
		eventually(t, "one rekeying", func() bool { g := w.info("g2"); return g.Version == 1 && g.LastCause == CauseTokenExpired })
	})
}

func TestScheduleJitter(t *testing.T) {
	c := GroupConfig{}.WithDefaults()
	seen := map[time.Time]bool{}
	end := start.Add(c.KeyLifetime)
	for n := range uint64(200) {
		h := &head{Number: n, Config: c, Expires: end.Unix()}
		at := h.rekeyAt()
		if left := end.Sub(at); left < c.KeyLifetime/20 || left > c.KeyLifetime/20+c.KeyLifetime/40 {
			t.Fatalf("group %d is rekeyed %v before the end", n, left)
		}
		seen[at.Truncate(time.Second)] = true
	}
	if len(seen) < 150 {
		t.Fatalf("%d moments for 200 groups", len(seen))
	}
	c.Schedule = Schedule{Margin: time.Hour, Jitter: NoJitter}
	h := &head{Number: 7, Config: c, Expires: end.Unix()}
	if at := h.rekeyAt(); !at.Equal(end.Add(-time.Hour)) {
		t.Fatalf("a schedule without jitter: %v", at)
	}
	for _, s := range []Schedule{{Margin: -1}, {Margin: 13 * time.Hour}, {Margin: time.Hour, Jitter: 7 * time.Hour}} {
		c.Schedule = s
		wantKind(t, c.Validate(), KindConfiguration)
	}
}

func TestInvalidate(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ctx := context.Background()
	w.group("g1", nil)
	_, good := w.lamp("good", "g1")
	_, deaf := w.lamp("deaf", "g1")
	w.net.mu.Lock()
	w.net.deaf[deaf.Node] = true
	w.net.mu.Unlock()
	if n, err := w.Invalidate(ctx, "g1"); n != 0 || err != nil {
		t.Fatal("all hold what there is:", n, err)
	}
	if _, err := w.Rekey(ctx, "g1", CauseOperator); err != nil { // the first act
		t.Fatal(err)
	}
	eventually(t, "one of them confirms", func() bool { p := w.pending("g1"); _, ok := p[good.Node]; return !ok })
	if g := w.info("g1"); g.Members != 2 {
		t.Fatal("a forced rotation evicts nobody", g.Members)
	}
	n, err := w.Invalidate(ctx, "g1") // the second
	if n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if g := w.info("g1"); g.Version != 2 || g.Members != 1 || g.LastCause != CauseInvalidated || w.member("g1", deaf.Node) != nil {
		t.Fatalf("%+v", g)
	}
}
