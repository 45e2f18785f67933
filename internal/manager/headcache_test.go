package manager

import (
	"context"
	"fmt"
	"reflect"
	"testing"

	"github.com/cohort-iot/cohort/ace"
)

func TestHeadCache(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t, nil)
	w.group("g1", func(c *GroupConfig) { c.GidReuse = true })
	w.group("g2", nil)
	for i := range 3 {
		w.lamp(fmt.Sprint("lamp-", i), "g1")
		if _, err := w.Rekey(ctx, "g1", CauseOperator); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("what is remembered is what the record says", func(t *testing.T) {
		n := 0
		for g, two := range w.heads.heads {
			for _, d := range []decodedHead{two.read, two.written} {
				if d.raw == nil {
					continue
				}
				h, err := decode[head](nameGroup(g), d.raw)
				if err != nil {
					t.Fatal(err)
				}
				if n++; !reflect.DeepEqual(*h, d.head) {
					t.Errorf("group %d: %+v, not %+v", g, d.head, *h)
				}
			}
		}
		if n < 2 {
			t.Fatalf("only %d heads", n)
		}
	})
	t.Run("a reader's changes stay its own", func(t *testing.T) {
		for range 2 {
			err := w.view(func(r reader) error {
				h, err := r.group("g1")
				if err == nil && h.Version != 3 {
					err = fmt.Errorf("version %d", h.Version)
				}
				h.Version, h.Name, h.Secret = 99, "x", nil
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	})
	t.Run("a name leads to the group that has it now", func(t *testing.T) {
		before := w.info("g2")
		if err := w.SetActive(ctx, "g2", false); err != nil {
			t.Fatal(err)
		}
		if err := w.DeleteGroup(ctx, "g2"); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Group(ctx, "g2"); KindOf(err) != KindNotFound {
			t.Fatal(err)
		}
		w.group("g2", nil)
		if after := w.info("g2"); after.State != GroupActive || string(after.Gid) == string(before.Gid) {
			t.Fatalf("%+v", after)
		}
	})
	t.Run("it is bounded", func(t *testing.T) {
		var c headCache
		for i := range uint64(3 * maxHeads) {
			c.put([]byte{1}, &head{Number: i, Name: fmt.Sprint(i)}, i%2 == 0)
		}
		if len(c.heads) > maxHeads || len(c.names) > maxHeads {
			t.Fatal(len(c.heads), len(c.names))
		}
		if h, ok := c.get(3*maxHeads-1, []byte{1}); !ok || h.Number != 3*maxHeads-1 {
			t.Fatal("the last one is not there")
		}
		if _, ok := c.get(3*maxHeads-1, []byte{2}); ok {
			t.Fatal("other bytes, same head")
		}
	})
}

// TestJoinSeesItsClientAnew shows that a join does not act on what it knew of its
// client before: a token that was replaced between check and effect counts.
func TestJoinSeesItsClientAnew(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t, nil)
	w.group("g1", nil)
	d := w.device("a", 6, entry("g1", responder))
	var seen seenClient
	p, err := w.prepareJoin(ctx, d.caller, "g1", d.request("g1", responder, nil), &seen)
	if err != nil {
		t.Fatal(err)
	}
	narrower := &ace.Token{Hash: ace.TokenHash{9}, Issuer: "as", Client: "a", Scope: ace.Scope{entry("g1", monitor)}, Expires: w.clock.Now().Add(3600e9)}
	if err := w.ReplaceToken(ctx, d.caller.Association, narrower); err != nil {
		t.Fatal(err)
	}
	_, err = w.applyJoin(ctx, p)
	wantKind(t, err, KindForbidden)
}
