package manager

import (
	"bytes"
	"context"
	"testing"
)

// TestMaintenance walks through what the maintenance of a secured group is.
func TestMaintenance(t *testing.T) {
	t.Parallel()
	t.Run("GC-2.2.4-1 members join and leave, and the others are rekeyed", func(t *testing.T) {
		ctx := context.Background()
		w := newWorld(t, nil)
		before := w.group("g1", nil)
		_, ja := w.lamp("a", "g1")
		b, jb := w.lamp("b", "g1")
		if ja.Response.Version != before.Version || jb.Response.Version != before.Version {
			t.Fatalf("joined under %d and %d", ja.Response.Version, jb.Response.Version)
		}
		if err := w.Leave(ctx, b.caller, "g1", jb.Node); err != nil {
			t.Fatal(err)
		}
		eventually(t, "told", func() bool { return len(w.net.sentTo(ja.Node)) == 1 })
		m := w.net.sentTo(ja.Node)[0]
		if m.Version != before.Version+1 || bytes.Equal(m.Gid, before.Gid) || len(m.StaleIDs) != 1 || !bytes.Equal(m.StaleIDs[0], jb.Response.Key.SenderID) {
			t.Fatalf("%+v", m)
		}
		_, jc := w.lamp("c", "g1")
		if jc.Response.Version != m.Version || !bytes.Equal(jc.Response.Key.Gid, m.Gid) {
			t.Fatalf("joined under %d", jc.Response.Version)
		}
	})
}
