package manager

import (
	"bytes"
	"context"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/keystore"
)

func (w *world) change(name string, edit func(c *GroupConfig)) GroupInfo {
	w.t.Helper()
	g, err := w.UpdateGroup(context.Background(), name, GroupChange{Edit: edit})
	if err != nil {
		w.t.Fatal(err)
	}
	return g
}

func TestUpdateGroup(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	t.Run("what members need not agree on takes effect at once and without a rekeying", func(t *testing.T) {
		w := newWorld(t, nil)
		w.group("g1", nil)
		_, _ = w.lamp("a", "g1")
		no, text := false, "hall"
		g, err := w.UpdateGroup(ctx, "g1", GroupChange{Revision: 1, Active: &no, Description: &text, Edit: func(c *GroupConfig) {
			c.KeyLifetime, c.MaxStaleSets, c.Windows.Leave, c.MaxMembers = 48*time.Hour, 5, time.Minute, 7
		}})
		if err != nil {
			t.Fatal(err)
		}
		if g.Version != 0 || g.State != GroupInactive || g.Description != "hall" || g.Changing || g.Members != 1 {
			t.Fatalf("%+v", g)
		}
		c := g.Config
		if c.MaxStaleSets != 5 || c.Windows.Leave != time.Minute || c.MaxMembers != 7 || c.KeyLifetime != 48*time.Hour {
			t.Fatalf("%+v", c)
		}
		if c.Schedule.Margin != 48*time.Hour/20 || c.Schedule.Jitter != 48*time.Hour/40 {
			t.Fatal("the schedule follows the lifetime unless it was given:", c.Schedule)
		}
		if !g.Expires.Equal(start.Add(24 * time.Hour)) {
			t.Fatal("members were told that the material ends after a day:", g.Expires)
		}
		for _, word := range []string{"group.changed", "key lifetime 24h0m0s to 48h0m0s", "leave window 0s to 1m0s", "description"} {
			if !strings.Contains(w.auditLog(), word) {
				t.Errorf("no %q in the audit log", word)
			}
		}
		if strings.Contains(w.auditLog(), "signature EdDSA to") {
			t.Error("the audit log tells what did not change")
		}
	})
	t.Run("a shorter lifetime ends the present material earlier", func(t *testing.T) {
		w := newWorld(t, nil)
		w.group("g1", nil)
		w.clock.Advance(time.Hour)
		w.change("g1", func(c *GroupConfig) { c.KeyLifetime = 30 * time.Minute })
		eventually(t, "it is replaced", func() bool { g := w.info("g1"); return g.Version == 1 && g.LastCause == CauseSchedule })
	})
	t.Run("AD-OVR-13 fewer stale sets are the newest ones", func(t *testing.T) {
		w := newWorld(t, nil)
		w.group("g1", func(c *GroupConfig) { c.MaxStaleSets = 4 })
		for range 6 {
			if _, err := w.Rekey(ctx, "g1", CauseOperator); err != nil {
				t.Fatal(err)
			}
		}
		w.change("g1", func(c *GroupConfig) { c.MaxStaleSets = 2 })
		h, err := w.headOf("g1")
		if err != nil || h.staleSets() != 2 || h.OldestStale != 5 {
			t.Fatal(h.OldestStale, err)
		}
	})
	t.Run("refusals leave everything", func(t *testing.T) {
		w := newWorld(t, nil)
		before := w.group("g1", nil)
		long := strings.Repeat("x", maxDescription+1)
		for name, c := range map[string]struct {
			ch   GroupChange
			kind Kind
		}{
			"modes":     {GroupChange{Edit: func(c *GroupConfig) { c.Modes = PairwiseOnly }}, KindConfiguration},
			"gid reuse": {GroupChange{Edit: func(c *GroupConfig) { c.GidReuse = true }}, KindConfiguration},
			"algorithm": {GroupChange{Edit: func(c *GroupConfig) { c.AEAD = cose.AlgEdDSA }}, KindConfiguration},
			"window":    {GroupChange{Edit: func(c *GroupConfig) { c.Windows.Leave = time.Hour }}, KindConfiguration},
			"revision":  {GroupChange{Revision: 9}, KindConflict},
			"words":     {GroupChange{Description: &long}, KindMalformed},
		} {
			_, err := w.UpdateGroup(ctx, "g1", c.ch)
			if KindOf(err) != c.kind || err == nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := w.UpdateGroup(ctx, "none", GroupChange{}); KindOf(err) != KindNotFound {
			t.Error(err)
		}
		if after := w.info("g1"); after.Revision != before.Revision || after.Config != before.Config || after.Version != 0 {
			t.Fatalf("%+v", after)
		}
	})
}

func TestChangeOfAlgorithms(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	t.Run("AD-EFF-02,AD-EFF-17,AD-EFF-19 members whose credentials fit go on: the rekeying message has the algorithms", func(t *testing.T) {
		w := newWorld(t, nil)
		w.group("g1", nil)
		d, j := w.lamp("a", "g1")
		g := w.change("g1", func(c *GroupConfig) {
			c.HKDF, c.GroupEnc, c.AEAD, c.KeyAgreement = cose.AlgHMAC512, cose.AlgAESCCM16_64_256, cose.AlgAESCCM16_64_256, cose.AlgECDHSSHKDF512
		})
		if g.Version != 1 || g.LastCause != CauseConfiguration || g.Members != 1 || g.Changing || g.Revision != 3 {
			t.Fatalf("%+v", g)
		}
		w.net.wait(t, 1)
		m := w.net.sentTo(j.Node)[0]
		if c := m.Config; c == nil || c.HKDF != cose.AlgHMAC512 || c.AEAD != cose.AlgAESCCM16_64_256 || c.GroupEnc != cose.AlgAESCCM16_64_256 ||
			c.KeyAgreement != cose.AlgECDHSSHKDF512 || c.Signature != cose.AlgEdDSA || c.CredentialFormat != cose.FormatCCS || c.SignParams == nil || c.ECDHParams == nil {
			t.Fatalf("%+v", c)
		}
		k, err := w.Material(ctx, d.caller, "g1")
		if err != nil || k.Key.AEAD != cose.AlgAESCCM16_64_256 || k.Version != 1 || !bytes.Equal(k.Key.Gid, m.Gid) {
			t.Fatal(k, err)
		}
		if m := w.member("g1", j.Node); !bytes.Equal(m.senderID(), j.Response.Key.SenderID) {
			t.Fatal("the Sender ID changed")
		}
		if _, err := w.Rekey(ctx, "g1", CauseOperator); err != nil {
			t.Fatal(err)
		}
		w.net.wait(t, 1)
		if again := w.net.sentTo(j.Node)[1]; again.Config != nil {
			t.Fatal("the next rekeying tells the algorithms again")
		}
	})
	t.Run("AD-EFF-13 members whose credentials do not fit are evicted, told, and join again with others", func(t *testing.T) {
		w := newWorld(t, nil)
		w.group("g1", nil)
		var nodes []string
		for _, n := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"} { // more than one step
			_, j := w.lamp(n, "g1")
			nodes = append(nodes, j.Node)
		}
		watch := w.device("watch", 0, entry("g1", monitor))
		mj := watch.join("g1", monitor)
		g := w.change("g1", func(c *GroupConfig) { c.Signature, c.KeyAgreement = cose.AlgES256, 0 })
		if g.Version != 1 || g.Members != 1 || g.LastCause != CauseConfiguration {
			t.Fatalf("%+v", g)
		}
		eventually(t, "all are told", func() bool { w.net.mu.Lock(); defer w.net.mu.Unlock(); return len(w.net.evicted) == len(nodes) })
		eventually(t, "the monitor has the new keys", func() bool { return len(w.net.sentTo(mj.Node)) == 1 })
		if m := w.net.sentTo(mj.Node)[0]; m.Config == nil || m.Config.Signature != cose.AlgES256 || len(m.StaleIDs) != len(nodes) || m.KDCCredential == nil {
			t.Fatalf("%+v", m)
		}
		again := w.device("a", cose.CurveP256, entry("g1", responder))
		j := again.join("g1", responder)
		if g := w.info("g1"); g.Version != 1 {
			t.Fatal("its coming back caused another rekeying")
		}
		if j.Response.Version != 1 || j.Response.Key.Signature != cose.AlgES256 {
			t.Fatalf("%+v", j.Response)
		}
		gm, err := cose.ParseCredential(cose.FormatCCS, j.Response.KDC.Credential)
		if err != nil || gm.PublicKey().Curve() != cose.CurveP256 {
			t.Fatal("the Group Manager's credential", err)
		}
		k, err := w.KDCCred(ctx, watch.caller, "g1")
		if err != nil {
			t.Fatal(err)
		}
		m := w.member("g1", mj.Node)
		if err := groupcomm.VerifySignature(gm.PublicKey(), cose.AlgES256, groupcomm.KDCPoP(m.Challenge, k.Nonce), k.Evidence); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("AD-EFF-08 members whose Sender IDs are too long are evicted before the rekeying", func(t *testing.T) {
		w := newWorld(t, nil)
		w.group("g1", func(c *GroupConfig) { c.GroupEnc, c.AEAD = cose.AlgAESCCM16_64_128, cose.AlgAESCCM16_64_128 })
		_, short := w.lamp("short", "g1")
		h, err := w.headOf("g1")
		if err != nil {
			t.Fatal(err)
		}
		h.NextSender = 0x1234
		if err := w.update(ctx, func(x *txn) error { return x.putHead(h) }); err != nil {
			t.Fatal(err)
		}
		_, long := w.lamp("long", "g1") // Sender ID of two bytes
		w.change("g1", func(c *GroupConfig) { c.AEAD = cose.AlgAESCCM64_64_128 })
		if w.member("g1", long.Node) != nil || w.member("g1", short.Node) == nil {
			t.Fatal("who has a Sender ID of two bytes is to go, who has one of a byte stays")
		}
		eventually(t, "the one that stays is told", func() bool { return len(w.net.sentTo(short.Node)) == 1 })
		if m := w.net.sentTo(short.Node)[0]; m.Version != 1 || len(m.StaleIDs) != 1 || !bytes.Equal(m.StaleIDs[0], long.Response.Key.SenderID) {
			t.Fatalf("%+v", m)
		}
		_, j := w.lamp("long", "g1")
		if len(j.Response.Key.SenderID) != 1 {
			t.Fatalf("%x", j.Response.Key.SenderID)
		}
	})
	t.Run("a crash between the steps is made good at the next start, and nobody joins in between", func(t *testing.T) {
		w := newWorld(t, nil)
		w.group("g1", nil)
		_, j := w.lamp("a", "g1")
		cfg := w.info("g1").Config
		cfg.Signature = cose.AlgES384
		defer w.bulk.begin("g1")()                // as if the steps were under way, so that the sweep does not take them
		err := w.update(ctx, func(x *txn) error { // the first step, as UpdateGroup takes it
			h, err := x.group("g1")
			if err != nil {
				return err
			}
			h.Next = &cfg
			return x.putHead(h)
		})
		if err != nil {
			t.Fatal(err)
		}
		late := w.device("late", cose.CurveEd25519, entry("g1", responder))
		_, err = late.tryJoin("g1", responder, nil)
		wantKind(t, err, KindUnavailable)
		_, err = w.UpdateGroup(ctx, "g1", GroupChange{Edit: func(c *GroupConfig) { c.MaxMembers = 5 }})
		wantKind(t, err, KindConflict)
		w.rig = func(o *Options) { o.OnRestart, o.KeepAssociations = RestartKeep, true }
		w.restart()
		g := w.info("g1")
		if g.Version != 1 || g.LastCause != CauseConfiguration || g.Members != 0 || g.Changing || g.Config.Signature != cose.AlgES384 || w.member("g1", j.Node) != nil {
			t.Fatalf("%+v", g)
		}
	})
	t.Run("a change that stopped half way is completed by the sweep", func(t *testing.T) {
		w := newWorld(t, func(o *Options) { o.SweepInterval = time.Second })
		w.group("g1", nil)
		w.lamp("a", "g1")
		cfg := w.info("g1").Config
		cfg.Signature = cose.AlgES256
		if err := w.update(ctx, func(x *txn) error {
			h, err := x.group("g1")
			if err == nil {
				h.Next = &cfg
				err = x.putHead(h)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		w.clock.Advance(2 * time.Second)
		eventually(t, "in force", func() bool {
			g := w.info("g1")
			return !g.Changing && g.Config.Signature == cose.AlgES256 && g.Version == 1 && g.Members == 0
		})
	})
}

// interposed has something done before the first transaction of one caller, or
// fails the later ones of that caller.
type interposed struct {
	Store
	begun int
	do    func()
	cut   bool
}

type interposedKey struct{}

func (i *interposed) Update(ctx context.Context, fn func(tx *keystore.Tx) error) error {
	if ctx.Value(interposedKey{}) != nil {
		i.begun++
		switch {
		case i.begun > 1 && i.cut:
			return keystore.ErrNotApplied
		case i.begun == 1 && i.do != nil:
			i.do()
		}
	}
	return i.Store.Update(ctx, fn)
}

// interpose makes the world's Service anew over its store with something in
// between, and gives the context of the caller that it is for.
func (w *world) interpose() (*interposed, context.Context) {
	w.t.Helper()
	w.Stop()
	i := &interposed{Store: w.store}
	s, err := New(i, Options{Clock: w.clock, Rand: rand.Reader, Delivery: w.net, Sessions: w.net, OnRestart: RestartKeep, KeepAssociations: true})
	if err != nil {
		w.t.Fatal(err)
	}
	if err := s.Start(context.Background()); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(s.Stop)
	w.Service = s
	return i, context.WithValue(context.Background(), interposedKey{}, true)
}

// TestChangeOvertaken has the steps of a change taken twice at once, and another
// change noted when one of the two is done.
func TestChangeOvertaken(t *testing.T) {
	t.Parallel()
	for name, back := range map[string]bool{
		"the other change waits for its own steps":     false,
		"also when it is the same one that was undone": true,
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			i, marked := w.interpose()
			ctx := context.Background()
			w.group("g1", nil)
			w.group("g2", func(c *GroupConfig) { c.Signature = cose.AlgES256 }) // its key is there
			defer w.bulk.begin("g1")()                                          // the sweep takes no steps
			note := func(alg cose.Algorithm) {
				cfg := w.info("g1").Config
				cfg.Signature, cfg.KeyAgreement = alg, 0
				cfg = cfg.WithDefaults()
				if err := w.update(ctx, func(x *txn) error {
					h, err := x.group("g1")
					if err != nil {
						return err
					}
					h.Next = &cfg
					return x.putHead(h)
				}); err != nil {
					t.Fatal(err)
				}
			}
			finish := func(ctx context.Context) {
				h, err := w.headOf("g1")
				if err == nil {
					err = w.finishConfiguration(ctx, h.Name, h.Number)
				}
				if err != nil {
					t.Error(err)
				}
			}
			var node string
			i.do = func() {
				finish(ctx)
				if back {
					note(cose.AlgEdDSA)
					finish(ctx)
					node = w.device("a", cose.CurveEd25519, entry("g1", responder)).join("g1", responder).Node
					note(cose.AlgES256)
					return
				}
				node = w.device("a", cose.CurveP256, entry("g1", responder)).join("g1", responder).Node
				note(cose.AlgES384)
			}
			note(cose.AlgES256)
			finish(marked)
			if g := w.info("g1"); node == "" || !g.Changing || g.Members != 1 {
				t.Fatalf("in force while a member has a credential that does not fit: %+v", g)
			}
			finish(ctx)
			if g := w.info("g1"); g.Changing || g.Members != 0 || w.member("g1", node) != nil {
				t.Fatalf("%+v", g)
			}
		})
	}
}
