package manager

import (
	"bytes"
	"context"
	"testing"

	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/keystore"
	"github.com/cohort-iot/cohort/keystore/keystoretest"
)

func TestRestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ctx := context.Background()
	before := w.group("g1", nil)
	gm := func() []byte {
		id, err := w.identity(w.info("g1").Config.slot())
		if err != nil {
			t.Fatal(err)
		}
		return id.credential.Bytes()
	}
	a, ja := w.lamp("a", "g1")
	key := gm()
	w.restart()
	t.Run("KG-REKEY-23 the group is rekeyed before anything is served", func(t *testing.T) {
		g := w.info("g1")
		if g.Version != 1 || bytes.Equal(g.Gid, before.Gid) || g.LastCause != CauseRestart {
			t.Fatalf("%+v", g)
		}
	})
	t.Run("associations are gone, memberships stay", func(t *testing.T) {
		if g := w.info("g1"); g.Members != 1 {
			t.Fatal(g.Members)
		}
		if p := w.pending("g1")[ja.Node]; p.Reachable {
			t.Fatal("reachable without an association")
		}
	})
	t.Run("KG-REKEY-04 with its token posted again the device is the member it was", func(t *testing.T) {
		a.post(1e12, entry("g1", responder))
		k, err := w.NodeMaterial(ctx, a.caller, "g1", ja.Node)
		if err != nil || k.Version != 1 || !bytes.Equal(k.Key.SenderID, ja.Response.Key.SenderID) {
			t.Fatal(k, err)
		}
	})
	t.Run("the Group Manager keeps its key", func(t *testing.T) {
		if !bytes.Equal(gm(), key) {
			t.Fatal("another credential")
		}
	})
	t.Run("node names, Sender IDs, Gids go on", func(t *testing.T) {
		_, jb := w.lamp("b", "g1")
		if jb.Node == ja.Node || bytes.Equal(jb.Response.Key.SenderID, ja.Response.Key.SenderID) {
			t.Fatal("given out again")
		}
		if g := w.group("g2", nil); bytes.Equal(g.Gid, before.Gid) || bytes.Equal(g.Gid, w.info("g1").Gid) {
			t.Fatal("a Gid was given out again")
		}
	})
}

func TestRestartKeeping(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *Options) { o.OnRestart = RestartKeep; o.KeepAssociations = true })
	ctx := context.Background()
	w.group("g1", nil)
	a, _ := w.lamp("a", "g1")
	w.restart()
	if g := w.info("g1"); g.Version != 0 {
		t.Fatal(g.Version)
	}
	var kept []StoredAssociation
	if err := w.Associations(func(a StoredAssociation) error { kept = append(kept, a); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(kept) != 1 || kept[0].Number != a.caller.Association || kept[0].Client != a.caller.Client || string(kept[0].Params.MasterSecret) != "secret of a" || kept[0].Expires.IsZero() {
		t.Fatalf("%+v", kept)
	}
	if _, err := w.Num(ctx, a.caller, "g1"); err != nil {
		t.Fatal(err)
	}
}

func TestRestored(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.group("g1", nil)
	_, ja := w.lamp("a", "g1")
	backup := w.mem.Clone()
	// After the backup more is given out, and lost.
	lost := map[string]bool{string(w.info("g1").Gid): true}
	for range 5 {
		if _, err := w.Rekey(context.Background(), "g1", CauseOperator); err != nil {
			t.Fatal(err)
		}
		lost[string(w.info("g1").Gid)] = true
	}
	w.Stop()
	_ = w.store.Close()
	w.mem = backup
	w.rig = func(o *Options) { o.Restored = true }
	w.open()
	g := w.info("g1")
	if lost[string(g.Gid)] || g.LastCause != CauseRestore || g.Members != 1 {
		t.Fatalf("%+v", g)
	}
	_, jb := w.lamp("b", "g1")
	if jb.Node == ja.Node {
		t.Fatal("a node name again")
	}
}

// A crash between the steps of a large eviction leaves nobody with the keys of
// what follows.
func TestCrashWithinEviction(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *Options) { o.OnRestart, o.KeepAssociations = RestartKeep, true })
	ctx := context.Background()
	w.group("g1", nil)
	_, ja := w.lamp("a", "g1")
	w.lamp("b", "g1")
	n, _ := nodeNumber(ja.Node)
	if done, err := w.evictStep(ctx, "g1", []uint64{n}, CauseOperator); done != 1 || err != nil {
		t.Fatal(done, err)
	}
	if g := w.info("g1"); g.Version != 0 || g.Due != CauseOperator {
		t.Fatalf("%+v", g)
	}
	w.restart()
	if g := w.info("g1"); g.Version != 1 || g.Due != CauseNone || g.Members != 1 {
		t.Fatalf("%+v", g)
	}
}

func TestDeleteGroup(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ctx := context.Background()
	w.group("g1", nil)
	a, ja := w.lamp("a", "g1")
	for i := range 9 {
		w.lamp("x"+string(rune('a'+i)), "g1")
	}
	gid := w.info("g1").Gid
	wantKind(t, w.DeleteGroup(ctx, "g1"), KindActive)
	if err := w.SetActive(ctx, "g1", false); err != nil {
		t.Fatal(err)
	}
	wantKind(t, w.SetActive(ctx, "g1", false), KindConflict)
	if err := w.DeleteGroup(ctx, "g1"); err != nil {
		t.Fatal(err)
	}
	_, err := w.Group(ctx, "g1")
	wantKind(t, err, KindNotFound)
	_, err = w.NodeMaterial(ctx, a.caller, "g1", ja.Node)
	wantKind(t, err, KindNotFound)
	if out, err := w.Gids(ctx, a.caller, (&groupcomm.GidsRequest{Gids: [][]byte{gid}}).Marshal()); err != nil || len(out.Groups) != 0 {
		t.Fatal(out, err)
	}
	t.Run("members are told", func(t *testing.T) {
		eventually(t, "notices", func() bool { w.net.mu.Lock(); defer w.net.mu.Unlock(); return len(w.net.evicted) == 10 })
	})
	t.Run("nothing of it is left", func(t *testing.T) {
		err := w.store.View(func(r keystore.Reader) error {
			for _, kind := range []string{"member", "member-of", "sender", "stale", "group", "gid", "group-name"} {
				if err := r.Scan(keystore.Key(kind), func(n keystore.Name, _ []byte) error {
					t.Errorf("left: %v", n)
					return nil
				}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
	t.Run("a group of the same name is another one", func(t *testing.T) {
		g := w.group("g1", nil)
		if bytes.Equal(g.Gid, gid) {
			t.Fatal("same Gid")
		}
	})
}

func TestNotStarted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.group("g1", nil)
	d := w.device("a", cose.CurveEd25519, entry("g1", responder))
	w.Stop()
	ctx := context.Background()
	_, err := w.Join(ctx, d.caller, "g1", nil)
	wantKind(t, err, KindUnavailable)
	_, err = w.Num(ctx, d.caller, "g1")
	wantKind(t, err, KindUnavailable)
	_, err = w.CreateGroup(ctx, GroupSpec{Name: "x"})
	wantKind(t, err, KindUnavailable)
	wantKind(t, w.Start(ctx), KindConflict)
	_, err = New(nil, Options{})
	if err == nil {
		t.Fatal("no store, no randomness")
	}
}

func TestRestartPolicies(t *testing.T) {
	for p, names := RestartRekey, []string{"rekey", "keep", "rekey-if-unclean"}; p <= RestartRekeyIfUnclean; p++ {
		if got, err := ParseRestartPolicy(names[p]); got != p || err != nil || p.String() != names[p] {
			t.Errorf("%v, %v", got, err)
		}
	}
	if _, err := ParseRestartPolicy("hope"); err == nil {
		t.Error("a policy that is none")
	}
	for _, c := range []struct {
		name string
		o    Options
		want Cause
	}{
		{"by default everything is rekeyed", Options{KeepAssociations: true, Clean: true}, CauseRestart},
		{"keep, shown to be the newest", Options{OnRestart: RestartKeep, KeepAssociations: true}, CauseNone},
		{"keep, without an anchor", Options{OnRestart: RestartKeep, Clean: true}, CauseRestart},
		{"clean stop", Options{OnRestart: RestartRekeyIfUnclean, KeepAssociations: true, Clean: true}, CauseNone},
		{"crash", Options{OnRestart: RestartRekeyIfUnclean, KeepAssociations: true}, CauseRestart},
		{"clean stop, without an anchor", Options{OnRestart: RestartRekeyIfUnclean, Clean: true}, CauseRestart},
		{"a backup", Options{OnRestart: RestartKeep, KeepAssociations: true, Clean: true, Restored: true}, CauseRestore},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.o.restartCause(); got != c.want {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

// Rekeyings and evictions cannot be set back unnoticed.
func TestAnchored(t *testing.T) {
	for name, do := range map[string]func(w *world, node string) error{
		"rekeying": func(w *world, _ string) error {
			_, err := w.Rekey(context.Background(), "g1", CauseOperator)
			return err
		},
		"eviction": func(w *world, node string) error {
			_, err := w.EvictMany(context.Background(), "g1", []string{node}, CauseOperator)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			anchor := &keystoretest.Anchor{}
			w := newAnchoredWorld(t, anchor)
			w.group("g1", nil)
			_, j := w.lamp("a", "g1")
			old := w.mem.Clone()
			if err := do(w, j.Node); err != nil {
				t.Fatal(err)
			}
			s, err := keystore.Open(old, keystore.Options{DataKey: dataKey, Anchor: anchor})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if r := s.Restart(); r.Anchor != keystore.AnchorAhead || r.Continuous() {
				t.Fatalf("%+v", r)
			}
		})
	}
}
