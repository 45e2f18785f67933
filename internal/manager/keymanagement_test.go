package manager

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"slices"
	"sync"
	"testing"

	"github.com/cohort-iot/cohort/cose"
)

// TestKeyManagement proves the rules of Group OSCORE itself for a Group Manager
// (draft-ietf-core-oscore-groupcomm-28, Section 12).
func TestKeyManagement(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	t.Run("rekeying after an eviction", func(t *testing.T) {
		w := newWorld(t, nil)
		before := w.group("g1", nil)
		a, ja := w.lamp("a", "g1")
		b, jb := w.lamp("b", "g1")
		_, jc := w.lamp("c", "g1")
		renewed, err := w.NewSenderID(ctx, b.caller, "g1", jb.Node)
		if err != nil {
			t.Fatal(err)
		}
		version, err := w.Evict(ctx, "g1", jc.Node, CauseOperator)
		if err != nil {
			t.Fatal(err)
		}
		w.net.wait(t, 2)
		eventually(t, "both told", func() bool { return len(w.net.sentTo(ja.Node)) == 1 && len(w.net.sentTo(jb.Node)) == 1 })
		m, n := w.net.sentTo(ja.Node)[0], w.net.sentTo(jb.Node)[0]
		t.Run("GO-12.2-1 new Gid and new Master Secret", func(t *testing.T) {
			if bytes.Equal(m.Gid, before.Gid) || bytes.Equal(m.MasterSecret, ja.Response.Key.MasterSecret) {
				t.Fatalf("%+v", m)
			}
		})
		t.Run("GO-12.2-9 the Key Generation Number grows by one", func(t *testing.T) {
			if version != before.Version+1 || m.Version != version {
				t.Fatalf("%d after %d", m.Version, before.Version)
			}
		})
		t.Run("GO-12.2-10 stale are the Sender ID given up under the Gid and that of the evicted member", func(t *testing.T) {
			want := [][]byte{jb.Response.Key.SenderID, jc.Response.Key.SenderID}
			for _, id := range want {
				if !slices.ContainsFunc(m.StaleIDs, func(b []byte) bool { return bytes.Equal(b, id) }) {
					t.Fatalf("%x is not in %x", id, m.StaleIDs)
				}
			}
			if len(m.StaleIDs) != len(want) {
				t.Fatalf("%x", m.StaleIDs)
			}
		})
		t.Run("GO-12.2-11,GC-6.2.1-1 every member that stays gets secret, Gid, number and stale set, the same", func(t *testing.T) {
			if !bytes.Equal(m.Gid, n.Gid) || !bytes.Equal(m.MasterSecret, n.MasterSecret) || m.Version != n.Version || len(m.StaleIDs) != len(n.StaleIDs) || len(m.MasterSecret) == 0 {
				t.Fatalf("%+v\n%+v", m, n)
			}
		})
		t.Run("GO-12.2-3 Sender IDs are preserved", func(t *testing.T) {
			for _, x := range []struct {
				caller Caller
				node   string
				id     []byte
			}{{a.caller, ja.Node, ja.Response.Key.SenderID}, {b.caller, jb.Node, renewed.SenderID.SenderID}} {
				k, err := w.NodeMaterial(ctx, x.caller, "g1", x.node)
				if err != nil || !bytes.Equal(k.Key.SenderID, x.id) {
					t.Fatal(k, err)
				}
			}
		})
		t.Run("GO-14.4-1 the evicted member gets none of it", func(t *testing.T) {
			if len(w.net.sentTo(jc.Node)) != 0 {
				t.Fatal("told")
			}
		})
	})
	t.Run("GO-12.2-6 a compromised node is out of all its groups, which are rekeyed", func(t *testing.T) {
		w := newWorld(t, nil)
		w.group("g1", nil)
		w.group("g2", nil)
		d := w.device("stolen", cose.CurveEd25519, entry("g1", responder), entry("g2", responder))
		d.join("g1", responder)
		d.join("g2", responder)
		if n, err := w.EndClient(ctx, "as", "stolen", CauseOperator); err != nil || n != 2 {
			t.Fatal(n, err)
		}
		for _, g := range []string{"g1", "g2"} {
			if i := w.info(g); i.Members != 0 || i.Version != 1 {
				t.Fatalf("%+v", i)
			}
		}
	})
	t.Run("GO-12.2.1.2-2 who joins again under the same Gid gets another Sender ID", func(t *testing.T) {
		w := newWorld(t, nil)
		g := w.group("g1", nil)
		d, j := w.lamp("a", "g1")
		again := d.join("g1", responder)
		if !bytes.Equal(w.info("g1").Gid, g.Gid) || bytes.Equal(again.Response.Key.SenderID, j.Response.Key.SenderID) {
			t.Fatalf("%x after %x", again.Response.Key.SenderID, j.Response.Key.SenderID)
		}
	})
	t.Run("GO-12.1-4 joining takes an authorisation for this group and these roles", func(t *testing.T) {
		w := newWorld(t, nil)
		w.group("g1", nil)
		w.group("g2", nil)
		d := w.device("a", cose.CurveEd25519, entry("g1", responder))
		for _, try := range []func() (*JoinResult, error){
			func() (*JoinResult, error) { return d.tryJoin("g2", responder, nil) },
			func() (*JoinResult, error) { return d.tryJoin("g1", requester, nil) },
		} {
			if j, err := try(); err == nil {
				t.Fatalf("%+v", j)
			}
		}
		d.join("g1", responder)
	})
	t.Run("GO-12.3-1 only who is authorised as signature checker gets a checker's data", func(t *testing.T) {
		w := newWorld(t, nil)
		w.group("g1", nil)
		member, _ := w.lamp("member", "g1")
		other := w.device("other", 0, entry("g2", verifier))
		checker := w.device("checker", 0, entry("g1", verifier))
		for _, d := range []*device{member, other} {
			if k, err := w.VerificationData(ctx, d.caller, "g1"); err == nil {
				t.Fatalf("%s: %+v", d.name, k)
			}
		}
		if _, err := w.VerificationData(ctx, checker.caller, "g1"); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("GO-14.11-1,OS-12.3-1 Master Secrets are what the random source gave", func(t *testing.T) {
		drawn := &recorder{}
		w := newWorld(t, func(o *Options) { o.Rand = drawn })
		w.group("g1", nil)
		_, j := w.lamp("a", "g1")
		if _, err := w.Rekey(ctx, "g1", CauseOperator); err != nil {
			t.Fatal(err)
		}
		w.net.wait(t, 1)
		for _, secret := range [][]byte{j.Response.Key.MasterSecret, w.net.sentTo(j.Node)[0].MasterSecret} {
			if len(secret) < 16 || !drawn.gave(secret) {
				t.Fatalf("a secret of %d bytes from elsewhere", len(secret))
			}
		}
	})
}

// recorder is a random source that remembers.
type recorder struct {
	mu  sync.Mutex
	all []byte
}

func (r *recorder) Read(b []byte) (int, error) {
	n, err := io.ReadFull(rand.Reader, b)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, b[:n]...)
	return n, err
}

func (r *recorder) gave(b []byte) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return bytes.Contains(r.all, b)
}
