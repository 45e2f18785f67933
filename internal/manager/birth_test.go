package manager

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/keystore"
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

// TestGidReuseFreshBase is a group in which more members joined under each of its
// Gids than one rekeying evicts.
func TestGidReuseFreshBase(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ctx := context.Background()
	w.group("g1", func(c *GroupConfig) { c.GidReuse, c.GidEpochs = true, 2 })
	fill := func(epoch string) (d *device, j *JoinResult) {
		for i := range maxElders + 1 {
			d, j = w.lamp(fmt.Sprint(epoch, i), "g1")
		}
		return d, j
	}
	rekey := func() GroupInfo {
		t.Helper()
		if _, err := w.Rekey(ctx, "g1", CauseOperator); err != nil {
			t.Fatal(err)
		}
		return w.info("g1")
	}
	d, j := fill("first")
	first := w.info("g1").Gid
	second := rekey().Gid
	_, gone := fill("second")
	t.Run("KO-RK-01 a rekeying finds a Gid under which nobody joined, and evicts nobody", func(t *testing.T) {
		seen := [][]byte{first, second}
		for range 2 { // the Gids of the fresh base
			g := rekey()
			if g.Members != 2*(maxElders+1) {
				t.Fatalf("%d members", g.Members)
			}
			for _, b := range seen {
				if bytes.Equal(g.Gid, b) {
					t.Fatalf("%x again", b)
				}
			}
			seen = append(seen, g.Gid)
		}
		if g := rekey(); !bytes.Equal(g.Gid, seen[2]) || g.Members != 2*(maxElders+1) {
			t.Fatalf("the fresh base goes round: %+v", g)
		}
	})
	t.Run("KO-OPS-25 only the Gid of now names the group", func(t *testing.T) {
		g := w.info("g1")
		out, err := w.Gids(ctx, d.caller, (&groupcomm.GidsRequest{Gids: [][]byte{first, second, g.Gid}}).Marshal())
		if err != nil || len(out.Groups) != 1 || !bytes.Equal(out.Groups[0].Gid, g.Gid) {
			t.Fatalf("%+v, %v", out, err)
		}
	})
	t.Run("KO-REM-01 births under the old base are forgotten with those who leave or join again", func(t *testing.T) {
		if _, err := w.Evict(ctx, "g1", gone.Node, CauseOperator); err != nil {
			t.Fatal(err)
		}
		d.join("g1", responder)
		m := w.member("g1", j.Node)
		if m == nil || m.Birth != 1+gidEpochs+1 {
			t.Fatalf("%+v", m)
		}
		births := map[uint64]int{}
		err := w.view(func(r reader) error {
			return r.Scan(keystore.Key("birth", 1), func(n keystore.Name, _ []byte) error { births[n.ID(1)]++; return nil })
		})
		if err != nil || births[0] != maxElders || births[1] != maxElders || births[gidEpochs+1] != 1 {
			t.Fatal(births, err)
		}
	})
	t.Run("KO-RK-01 who joined under the fresh base is an elder of it", func(t *testing.T) {
		rekey()
		if g := rekey(); w.member("g1", j.Node) != nil || g.Members != 2*maxElders {
			t.Fatalf("%+v", g)
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
