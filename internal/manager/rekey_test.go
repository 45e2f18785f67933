package manager

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/cose"
)

func TestLeaveRekeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ctx := context.Background()
	before := w.group("g1", nil)
	a, ja := w.lamp("a", "g1")
	b, jb := w.lamp("b", "g1")
	if err := w.Leave(ctx, a.caller, "g1", jb.Node); KindOf(err) != KindForbidden {
		t.Fatal("a member removed another one")
	}
	if err := w.Leave(ctx, a.caller, "g1", ja.Node); err != nil {
		t.Fatal(err)
	}
	after := w.info("g1")
	w.net.wait(t, 1)
	msgs := w.net.sentTo(jb.Node)
	t.Run("KO-RKOV-06,KG-REM-07,KO-REM-04,GO-12.2-5 the rest is rekeyed, the leaver is not told the key", func(t *testing.T) {
		if len(msgs) != 1 || len(w.net.sentTo(ja.Node)) != 0 {
			t.Fatal(len(msgs))
		}
	})
	m := msgs[0]
	t.Run("KO-RKOV-03,KG-REKEY-02,KG-GET-19 the version grew by one before the message", func(t *testing.T) {
		if m.Version != 1 || after.Version != 1 {
			t.Fatal(m.Version)
		}
	})
	t.Run("KO-RKOV-04,KO-RK-07 new Gid and Master Secret, no salt", func(t *testing.T) {
		if bytes.Equal(m.Gid, before.Gid) || !bytes.Equal(m.Gid, after.Gid) || bytes.Equal(m.MasterSecret, ja.Response.Key.MasterSecret) || m.MasterSalt != nil {
			t.Fatalf("%+v", m)
		}
	})
	t.Run("KO-RKOV-09,KO-RKOV-12,KO-RK-08 the leaver's Sender ID is stale", func(t *testing.T) {
		if len(m.StaleIDs) != 1 || !bytes.Equal(m.StaleIDs[0], ja.Response.Key.SenderID) {
			t.Fatalf("%x", m.StaleIDs)
		}
	})
	t.Run("KG-REKEY-06,KG-REKEY-07,KO-RK-06 exp and exi", func(t *testing.T) {
		if m.Expiry.In == 0 || m.Expiry.At == 0 {
			t.Fatal("no expiry")
		}
	})
	t.Run("KO-SID-07 the rest keep their Sender IDs", func(t *testing.T) {
		k, err := w.NodeMaterial(ctx, b.caller, "g1", jb.Node)
		if err != nil || !bytes.Equal(k.Key.SenderID, jb.Response.Key.SenderID) {
			t.Fatal(err)
		}
	})
	t.Run("KG-REM-02,KG-REM-04 the leaver is no member any more", func(t *testing.T) {
		_, err := w.Material(ctx, a.caller, "g1")
		wantKind(t, err, KindNotMember)
		creds, _, err := w.Credentials(ctx, b.caller, "g1", nil)
		if err != nil || len(creds.Peers) != 1 || !bytes.Equal(creds.Peers[0].SenderID, jb.Response.Key.SenderID) {
			t.Fatal(creds, err)
		}
	})
	t.Run("a leaver is owed no notice", func(t *testing.T) {
		if len(w.net.evicted) != 0 {
			t.Fatal("notified")
		}
	})
	t.Run("KG-NODE-17 it may join again with the same token, as a new member", func(t *testing.T) {
		j := a.join("g1", responder)
		if !j.Created || j.Node == ja.Node {
			t.Fatalf("%+v", j)
		}
	})
}

func TestEvict(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ctx := context.Background()
	w.group("g1", nil)
	a, ja := w.lamp("a", "g1")
	_, jb := w.lamp("b", "g1")
	v, err := w.Evict(ctx, "g1", ja.Node, CauseOperator)
	if err != nil || v != 1 {
		t.Fatal(v, err)
	}
	w.net.wait(t, 2)
	t.Run("KO-REM-02,KG-REM-05 the device is told by DELETE to its control URI", func(t *testing.T) {
		eventually(t, "notice", func() bool {
			w.net.mu.Lock()
			defer w.net.mu.Unlock()
			return len(w.net.evicted) == 1
		})
		if n := w.net.evicted[0]; n.Node != ja.Node || n.ControlURI != "coap://127.0.0.2:5683/rekey" || n.Association != a.caller.Association {
			t.Fatalf("%+v", n)
		}
	})
	t.Run("the notice is taken off the books", func(t *testing.T) {
		eventually(t, "settled", func() bool { return strings.Contains(w.auditLog(), "member.notified") })
	})
	t.Run("KO-RKOV-06 the others get new keys, the evicted does not", func(t *testing.T) {
		if len(w.net.sentTo(jb.Node)) != 1 || len(w.net.sentTo(ja.Node)) != 0 {
			t.Fatal("wrong receivers")
		}
		_, err := w.Material(ctx, a.caller, "g1")
		wantKind(t, err, KindNotMember)
	})
	t.Run("twice is not possible", func(t *testing.T) {
		_, err := w.Evict(ctx, "g1", ja.Node, CauseOperator)
		wantKind(t, err, KindNotFound)
		_, err = w.Evict(ctx, "g1", "nonsense", CauseOperator)
		wantKind(t, err, KindNotFound)
	})
}

func TestEvictMany(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.group("g1", nil)
	var nodes []string
	for i := range 20 {
		_, j := w.lamp("lamp"+string(rune('a'+i)), "g1")
		nodes = append(nodes, j.Node)
	}
	n, err := w.EvictMany(context.Background(), "g1", nodes[:19], CauseOperator)
	if err != nil || n != 19 {
		t.Fatal(n, err)
	}
	if g := w.info("g1"); g.Version != 1 || g.Members != 1 || g.Due != CauseNone {
		t.Fatalf("%+v", g)
	}
	w.net.wait(t, 20)
	if m := w.net.sentTo(nodes[19]); len(m) != 1 || len(m[0].StaleIDs) != 19 {
		t.Fatal(m)
	}
}

func TestStaleSIDs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ctx := context.Background()
	w.group("g1", func(c *GroupConfig) { c.MaxStaleSets = 3 })
	a, ja := w.lamp("a", "g1")
	ask := func(v uint64) [][]byte {
		t.Helper()
		ids, err := w.StaleSIDs(ctx, a.caller, "g1", groupcomm.MarshalNum(v))
		if err != nil {
			t.Fatal(err)
		}
		return ids
	}
	var gone [][]byte
	leave := func(name string) {
		d, j := w.lamp(name, "g1")
		if err := w.Leave(ctx, d.caller, "g1", j.Node); err != nil {
			t.Fatal(err)
		}
		gone = append(gone, j.Response.Key.SenderID)
	}
	leave("b") // version 1
	leave("c") // version 2
	t.Run("KO-MISS-11 the union of the newest sets", func(t *testing.T) {
		if got := ask(1); len(got) != 1 || !bytes.Equal(got[0], gone[1]) {
			t.Fatalf("%x", got)
		}
		if got := ask(0); len(got) != 2 {
			t.Fatalf("%x", got)
		}
	})
	t.Run("KO-MISS-11,KO-RKOV-09 a renewed Sender ID is in the newest set", func(t *testing.T) {
		r, err := w.NewSenderID(ctx, a.caller, "g1", ja.Node)
		if err == nil && r.Rekey != nil { // the rekeying message had not arrived yet
			r, err = w.NewSenderID(ctx, a.caller, "g1", ja.Node)
		}
		if err != nil || r.SenderID == nil {
			t.Fatal(r, err)
		}
		if got := ask(1); len(got) != 2 || !slices.ContainsFunc(got, func(b []byte) bool { return bytes.Equal(b, ja.Response.Key.SenderID) }) {
			t.Fatalf("%x", got)
		}
	})
	leave("d") // version 3: sets 1, 2, 3 are kept
	t.Run("KO-MISS-10,KO-RKOV-08,KO-RKOV-11,KO-RKOV-13 older than the sets that are kept", func(t *testing.T) {
		if ask(0) != nil {
			t.Fatal("a payload")
		}
		if ask(1) == nil {
			t.Fatal("no payload")
		}
	})
	t.Run("KO-MISS-11 an empty union is an empty array", func(t *testing.T) {
		if _, err := w.Rekey(ctx, "g1", CauseOperator); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Rekey(ctx, "g1", CauseOperator); err != nil {
			t.Fatal(err)
		}
		if got := ask(4); got == nil || len(got) != 0 {
			t.Fatalf("%x", got)
		}
	})
	t.Run("KO-MISS-09 malformed, or a version that is not older", func(t *testing.T) {
		for _, payload := range [][]byte{nil, {0x40}, {0x20}, groupcomm.MarshalNum(5), groupcomm.MarshalNum(99)} {
			_, err := w.StaleSIDs(ctx, a.caller, "g1", payload)
			wantKind(t, err, KindMalformed)
		}
	})
	t.Run("KO-RES-04 a non-member", func(t *testing.T) {
		x := w.device("x", cose.CurveEd25519, entry("g1", responder))
		_, err := w.StaleSIDs(ctx, x.caller, "g1", groupcomm.MarshalNum(0))
		wantKind(t, err, KindNotMember)
	})
	t.Run("dropped sets leave the store", func(t *testing.T) {
		if _, err := w.sweep(ctx); err != nil {
			t.Fatal(err)
		}
		err := w.view(func(r reader) error {
			h, err := r.group("g1")
			if err != nil {
				return err
			}
			names, err := r.firstNames(nameStaleSet(h.Number, 0), 10)
			if len(names) != 0 || h.PrunedStale != h.OldestStale {
				t.Errorf("%d records of version 0 are left", len(names))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestSenderIDs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ctx := context.Background()
	// A nonce of 7 bytes leaves one byte for Sender IDs: 256 of them.
	w.group("small", func(c *GroupConfig) {
		c.GroupEnc, c.AEAD = cose.AlgAESCCM64_64_128, cose.AlgAESCCM64_64_128
	})
	a, ja := w.lamp("a", "small")
	used := map[string]bool{string(ja.Response.Key.SenderID): true}
	t.Run("KO-SID-02,KO-SID-03,GO-12.2.1.2-1 no Sender ID twice under one Gid, none too long", func(t *testing.T) {
		for range 255 {
			r, err := w.NewSenderID(ctx, a.caller, "small", ja.Node)
			if err != nil || r.SenderID == nil {
				t.Fatal(len(used), err)
			}
			id := string(r.SenderID.SenderID)
			if len(id) != 1 || used[id] {
				t.Fatalf("%x again", id)
			}
			used[id] = true
		}
		if r, err := w.NewSenderID(ctx, a.caller, "small", ja.Node); err == nil {
			t.Fatalf("all are used up, and %x comes again", r.SenderID)
		}
	})
	t.Run("KO-OPS-09,KG-NODE-12 then there are none, and the member keeps what it has", func(t *testing.T) {
		_, err := w.NewSenderID(ctx, a.caller, "small", ja.Node)
		wantKind(t, err, KindNoIndividualKey)
		b := w.device("b", cose.CurveEd25519, entry("small", responder))
		_, err = b.tryJoin("small", responder, nil)
		t.Run("KO-JPROC-05 joining finds none either", func(t *testing.T) { wantKind(t, err, KindNoIndividualKey) })
		if _, err := w.NodeMaterial(ctx, a.caller, "small", ja.Node); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("KG-NODE-14 want of Sender IDs does not rekey at once", func(t *testing.T) {
		if v := w.info("small"); v.Version != 0 || v.Due != CauseNone {
			t.Fatalf("%+v", v)
		}
	})
	t.Run("GO-12.2.1.2-3 after a pause the group is rekeyed and Sender IDs are free again", func(t *testing.T) {
		w.clock.Advance(2 * senderIDsPause)
		_, err := w.NewSenderID(ctx, a.caller, "small", ja.Node)
		wantKind(t, err, KindNoIndividualKey)
		eventually(t, "rekeyed", func() bool { return w.info("small").Version == 1 })
		r, err := w.NewSenderID(ctx, a.caller, "small", ja.Node)
		if err == nil && r.Rekey != nil { // the rekeying message had not arrived yet
			r, err = w.NewSenderID(ctx, a.caller, "small", ja.Node)
		}
		if err != nil || r.SenderID == nil {
			t.Fatal(err)
		}
	})
}

func TestRenewal(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ctx := context.Background()
	w.group("g1", nil)
	a, ja := w.lamp("a", "g1")
	t.Run("KO-OPS-08,KG-NODE-13 a new Sender ID", func(t *testing.T) {
		r, err := w.NewSenderID(ctx, a.caller, "g1", ja.Node)
		if err != nil || r.Rekey != nil || bytes.Equal(r.SenderID.SenderID, ja.Response.Key.SenderID) {
			t.Fatal(r, err)
		}
		k, err := w.NodeMaterial(ctx, a.caller, "g1", ja.Node)
		if err != nil || !bytes.Equal(k.Key.SenderID, r.SenderID.SenderID) || k.Version != 0 {
			t.Fatal(k, err)
		}
	})
	t.Run("KO-OPS-06,KG-NODE-11 not for a monitor", func(t *testing.T) {
		m := w.device("ear", 0, entry("g1", monitor))
		j := m.join("g1", monitor)
		_, err := w.NewSenderID(ctx, m.caller, "g1", j.Node)
		wantKind(t, err, KindRole)
	})
	t.Run("KO-OPS-05 not in an inactive group", func(t *testing.T) {
		if err := w.SetActive(ctx, "g1", false); err != nil {
			t.Fatal(err)
		}
		_, err := w.NewSenderID(ctx, a.caller, "g1", ja.Node)
		wantKind(t, err, KindInactive)
		if err := w.SetActive(ctx, "g1", true); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("KG-NODE-02,KG-NODE-03 not by others", func(t *testing.T) {
		x := w.device("x", cose.CurveEd25519, entry("g1", responder))
		_, err := w.NewSenderID(ctx, x.caller, "g1", ja.Node)
		wantKind(t, err, KindNotMember)
		x.join("g1", responder)
		_, err = w.NewSenderID(ctx, x.caller, "g1", ja.Node)
		wantKind(t, err, KindForbidden)
	})
}

func TestScheduledRekeying(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *Options) { o.SweepInterval = 1000 * time.Hour })
	ctx := context.Background()
	w.group("g1", func(c *GroupConfig) { c.KeyLifetime = 10 * time.Hour })
	a := w.device("a", cose.CurveEd25519, entry("g1", responder))
	a.post(500*time.Hour, entry("g1", responder))
	ja := a.join("g1", responder)
	t.Run("KO-OPS-07 a renewal shortly before the end gets a rekeying message", func(t *testing.T) {
		for range 3 { // the sweep that the token woke may come first, once
			w.clock.Advance(9*time.Hour + 40*time.Minute)
			r, err := w.NewSenderID(ctx, a.caller, "g1", ja.Node)
			if err != nil {
				t.Fatal(err)
			}
			if r.SenderID == nil && r.Rekey != nil && r.Rekey.Version == w.info("g1").Version {
				return
			}
		}
		t.Fatal("no rekeying message")
	})
	t.Run("KG-REKEY-20,KO-RKOV-07,GO-12.2-8 material is replaced before it ends", func(t *testing.T) {
		v := w.info("g1").Version
		w.clock.Advance(9*time.Hour + 40*time.Minute)
		if _, err := w.sweep(ctx); err != nil {
			t.Fatal(err)
		}
		if g := w.info("g1"); g.Version != v+1 || g.LastCause != CauseSchedule {
			t.Fatalf("%+v", g)
		}
	})
}

func TestBackwardSecurity(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.group("g1", func(c *GroupConfig) { c.BackwardSecurity = true })
	_, ja := w.lamp("a", "g1")
	_, jb := w.lamp("b", "g1")
	t.Run("KG-JOIN-21,KO-RKOV-05,GO-12.2-7 each join rekeys first, and is answered with the new version", func(t *testing.T) {
		if ja.Response.Version != 1 || jb.Response.Version != 2 || bytes.Equal(ja.Response.Key.Gid, jb.Response.Key.Gid) {
			t.Fatal(ja.Response.Version, jb.Response.Version)
		}
	})
	w.net.wait(t, 1)
	t.Run("KO-RK-09 the message tells the others of the joiner, all three or none", func(t *testing.T) {
		m := w.net.sentTo(ja.Node)
		if len(m) != 1 || len(m[0].Peers) != 1 || !bytes.Equal(m[0].Peers[0].SenderID, jb.Response.Key.SenderID) || m[0].Peers[0].Roles != responder {
			t.Fatalf("%+v", m)
		}
	})
	t.Run("the joiner is not sent what it has", func(t *testing.T) {
		if m := w.net.sentTo(jb.Node); len(m) != 0 {
			t.Fatalf("%+v", m)
		}
	})
}
