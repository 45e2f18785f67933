package manager

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/cohort-iot/cohort/cose"
)

// stuck makes a group that cannot be rekeyed any more: its versions are used up.
func (w *world) stuck(name string) {
	w.t.Helper()
	err := w.update(context.Background(), func(x *txn) error {
		h, err := x.group(name)
		if err != nil {
			return err
		}
		h.Version, h.OldestStale, h.PrunedStale = math.MaxInt64, math.MaxInt64, math.MaxInt64
		return x.putHead(h)
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// TestOneGroupFails has one group of two that cannot be rekeyed.
func TestOneGroupFails(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	t.Run("KG-REM-01 tokens of members of the other one are taken off the books", func(t *testing.T) {
		w := newWorld(t, nil)
		var left []*device
		for _, name := range []string{"g1", "g2"} { // in the order in which they are looked at
			w.group(name, nil)
			d := w.device("in "+name, cose.CurveEd25519)
			d.hash[7] ^= 1 // a second token, of an hour
			d.post(time.Hour, entry(name, responder))
			d.join(name, responder)
			left = append(left, d)
		}
		w.stuck("g1")
		w.clock.Advance(time.Hour)
		known := func(d *device) bool {
			c := uint64(0)
			if err := w.view(func(r reader) (err error) {
				c, err = r.indexed(tokenHashes, string(d.hash[:]))
				return err
			}); err != nil {
				t.Fatal(err)
			}
			return c != 0
		}
		eventually(t, "the member of g2 is out and its token gone", func() bool { return w.info("g2").Members == 0 && !known(left[1]) })
		if err := w.expireTokens(ctx); KindOf(err) != KindExhausted || err == nil {
			t.Fatal(err)
		}
		if w.info("g1").Members != 1 || !known(left[0]) {
			t.Fatal("what failed must be tried again")
		}
	})
	t.Run("the other one takes the new key of the Group Manager, and the old key stays for this one", func(t *testing.T) {
		w := newWorld(t, nil)
		w.group("g1", nil)
		w.group("g2", nil)
		d, _ := w.lamp("a", "g1")
		w.stuck("g1")
		n, err := w.RotateIdentity(ctx, w.info("g1").Identity)
		if n != 1 || err == nil || KindOf(err) != KindExhausted {
			t.Fatal(n, err)
		}
		if g := w.info("g2"); g.LastCause != CauseManagerKey {
			t.Fatalf("%+v", g)
		}
		if err := w.view(func(r reader) error {
			_, err := r.Get(nameManagerKey(GroupConfig{}.WithDefaults().slot()))
			return err
		}); err != nil {
			t.Fatal("the key that g1 uses:", err)
		}
		if _, err := w.KDCCred(ctx, d.caller, "g1"); err != nil {
			t.Fatal(err)
		}
	})
}
