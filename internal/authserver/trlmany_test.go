package authserver

import (
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/ace/trl"
)

// TestLongList revokes more than a thousand tokens at once, and follows the list meanwhile.
func TestLongList(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	_, rs := b.remote(t, "gm2")
	want := map[ace.TokenHash]bool{}
	for range 1200 {
		want[b.tokenFor(t, b.lamp, "gm2")] = true
	}
	other := b.tokenFor(t, b.sw, "gm2")
	f := &trl.Follower{Diff: true, Cursor: true, FullEvery: 1000}
	known := map[ace.TokenHash]bool{}
	follow := func() (rounds int) {
		t.Helper()
		for again := true; again; rounds++ {
			resp := must(b.TRL(t.Context(), rs, f.Next().Strings()))
			var n trl.News
			n, again = f.Answered(must(trl.ParseResponse(resp.Marshal())))
			if n.Whole {
				clear(known)
			}
			for _, h := range n.Revoked {
				known[h] = true
			}
			for _, h := range n.Expired {
				delete(known, h)
			}
			if rounds > 100 {
				t.Fatal("it does not come to an end")
			}
		}
		return rounds
	}
	follow()
	if err := b.RevokeClient(t.Context(), "lamp", "test"); err != nil {
		t.Fatal(err)
	}
	t.Run("TR-QRY-01,TR-QRY-11,TR-TRL-17 a requester that follows by diff queries and one that asks for everything know the same", func(t *testing.T) {
		follow()
		full := must(trl.ParseResponse(must(b.TRL(t.Context(), rs, nil)).Marshal()))
		if len(full.Full) != len(want) || len(known) != len(want) {
			t.Fatalf("%d in full, %d followed, %d revoked", len(full.Full), len(known), len(want))
		}
		for _, h := range full.Full {
			if !want[h] || !known[h] || h == other {
				t.Fatal(h)
			}
		}
	})
	t.Run("TR-QRY-10,TR-QRY-11,TR-TRL-11 no cursor gets more than a batch, nor anything of others", func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 2))
		for range 500 {
			cursor := r.Uint64() >> r.IntN(64)
			resp, err := b.TRL(t.Context(), rs, []string{"diff=" + strconv.Itoa(r.IntN(200)), "cursor=" + strconv.FormatUint(cursor, 10)})
			if err != nil {
				if p, ok := err.(*trl.Problem); !ok || p.ID != trl.InvalidValue && p.ID != trl.OutOfBound {
					t.Fatal(err)
				}
				continue
			}
			if len(resp.Diff) > b.list.Batch {
				t.Fatalf("%d updates", len(resp.Diff))
			}
			for _, e := range resp.Diff {
				for _, h := range e.Added {
					if !want[h] {
						t.Fatal(h)
					}
				}
			}
		}
	})
	t.Run("TR-TRL-02 the list is empty when all have expired", func(t *testing.T) {
		b.clock.Advance(2 * time.Hour)
		if n := must(b.Sweep(t.Context())); n != len(want)+1 {
			t.Fatal(n)
		}
		follow()
		if len(known) != 0 || len(must(b.TRL(t.Context(), rs, nil)).Full) != 0 {
			t.Fatalf("%d left", len(known))
		}
	})
}
