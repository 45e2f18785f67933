package manager

import (
	"bytes"
	"context"
	"slices"
	"testing"

	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/cose"
)

// TestGidReuse is a group with four Gids that go round.
func TestGidReuse(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ctx := context.Background()
	first := w.group("g1", func(c *GroupConfig) { c.GidReuse, c.GidEpochs, c.BackwardSecurity = true, 4, true })
	elder, je := w.lamp("elder", "g1") // born under epoch 1, as its join rekeys
	born := w.info("g1").Gid
	rekey := func() {
		t.Helper()
		if _, err := w.Rekey(ctx, "g1", CauseOperator); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("KO-JRESP-17,GO-12.2.1.1.1-1 the Gid in the Join Response is the Birth Gid", func(t *testing.T) {
		m := w.member("g1", je.Node)
		if m == nil || m.Birth != 2 || !bytes.Equal(je.Response.Key.Gid, born) || bytes.Equal(born, first.Gid) {
			t.Fatalf("%+v", m)
		}
	})
	rekey() // 2
	t.Run("KO-JRESP-17,GO-12.2.1.1.1-1 joining again overwrites it", func(t *testing.T) {
		other, jo := w.lamp("other", "g1") // 3, as its join rekeys
		if m := w.member("g1", jo.Node); m.Birth != 4 {
			t.Fatal(m.Birth)
		}
		rekey() // 0
		if _, err := other.tryJoin("g1", responder, nil); err != nil {
			t.Fatal(err)
		}
		if m := w.member("g1", jo.Node); m.Birth != 1 {
			t.Fatal(m.Birth)
		}
		if err := w.view(func(r reader) error {
			names, err := r.firstNames(nameBirths(1, 3), 5)
			if len(names) != 0 {
				t.Error("the old one is still noted")
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	})
	abandoned := w.info("g1").Version
	rekey() // 1 again: the elder's
	t.Run("KO-RK-01,KO-RK-02,GO-12.2.1.1.1-2,GO-12.2.1.1-1 before a Gid comes back its elder members are evicted", func(t *testing.T) {
		g := w.info("g1")
		if !bytes.Equal(g.Gid, born) || g.Members != 1 || w.member("g1", je.Node) != nil {
			t.Fatalf("%+v", g)
		}
		w.net.wait(t, 1)
		err := w.view(func(r reader) error {
			set, err := r.staleSet(1, abandoned)
			if !slices.ContainsFunc(set, func(b []byte) bool { return bytes.Equal(b, je.Response.Key.SenderID) }) {
				t.Errorf("stale under the version that ended: %x", set)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
	t.Run("KO-REM-01,GO-12.2.1.1.1-1 and the Birth Gid is forgotten", func(t *testing.T) {
		if err := w.view(func(r reader) error {
			names, err := r.firstNames(nameBirths(1, 1), 5)
			if len(names) != 0 {
				t.Error("still noted")
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("KO-RK-03 an elder that joins again before the next rekeying causes none", func(t *testing.T) {
		before := w.info("g1").Version
		if _, err := elder.tryJoin("g1", responder, nil); err != nil {
			t.Fatal(err)
		}
		if g := w.info("g1"); g.Version != before {
			t.Fatal("rekeyed")
		}
		w.lamp("third", "g1")
		if g := w.info("g1"); g.Version != before+1 {
			t.Fatal("the join of another one rekeys as ever")
		}
	})
	t.Run("KO-OPS-25 only the Gid of now names the group", func(t *testing.T) {
		g := w.info("g1")
		out, err := w.Gids(ctx, elder.caller, (&groupcomm.GidsRequest{Gids: [][]byte{born, first.Gid, g.Gid}}).Marshal())
		if err != nil || len(out.Groups) != 1 || !bytes.Equal(out.Groups[0].Gid, g.Gid) {
			t.Fatalf("%+v, %v", out, err)
		}
	})
	t.Run("Gids of all groups differ", func(t *testing.T) {
		g2 := w.group("g2", func(c *GroupConfig) { c.GidReuse = true })
		g3 := w.group("g3", nil)
		if bytes.Equal(g2.Gid, g3.Gid) || bytes.Equal(g2.Gid[:len(g2.Gid)-1], w.info("g1").Gid[:len(g2.Gid)-1]) {
			t.Fatalf("%x %x", g2.Gid, g3.Gid)
		}
	})
	t.Run("a renewal that would evict the one who asks", func(t *testing.T) {
		d := w.device("last", cose.CurveEd25519, entry("g4", responder))
		w.group("g4", func(c *GroupConfig) { c.GidReuse, c.GidEpochs = true, 2 })
		j := d.join("g4", responder) // born under 0
		if _, err := w.Rekey(ctx, "g4", CauseOperator); err != nil {
			t.Fatal(err)
		}
		if _, err := w.NodeMaterial(ctx, d.caller, "g4", j.Node); err != nil {
			t.Fatal(err)
		}
		w.clock.Advance(w.info("g4").Config.KeyLifetime - 1)
		if _, err := w.NewSenderID(ctx, d.caller, "g4", j.Node); KindOf(err) != KindNotMember && KindOf(err) != KindUnauthorized {
			t.Fatal(err)
		}
	})
}

func TestGidFormats(t *testing.T) {
	prefix := []byte{9}
	for _, n := range []uint64{1, 0xffff, 0x10000, 1 << 40} {
		h := &head{GidNumber: n, Epoch: 7, Config: GroupConfig{GidReuse: true, GidEpochs: 256}}
		if got, ok := baseNumber(prefix, h.gid(prefix)); !ok || got != n {
			t.Errorf("%d: %d %v", n, got, ok)
		}
		if _, ok := gidNumber(prefix, h.gid(prefix)); ok {
			t.Errorf("%x could be the Gid of a group without reuse", h.gid(prefix))
		}
		h.Config.GidReuse = false
		if _, ok := baseNumber(prefix, h.gid(prefix)); ok {
			t.Errorf("%x could be the Gid of a group with reuse", h.gid(prefix))
		}
	}
}
