package trl

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cohort-iot/cohort/ace"
)

func TestFollower(t *testing.T) {
	t.Parallel()
	t.Run("it begins with everything, then asks for what changed", func(t *testing.T) {
		t.Parallel()
		f := &Follower{Diff: true, Cursor: true}
		if q := f.Next(); q.Diff || len(q.Strings()) != 0 {
			t.Fatal(q)
		}
		n, again := f.Answered(answer(t, small(), updates(small(), 3)))
		if !n.Whole || len(n.Revoked) != 3 || again {
			t.Fatalf("%+v", n)
		}
		if q := f.Next(); !slices.Equal(q.Strings(), []string{"diff=0", "cursor=2"}) {
			t.Fatal(q.Strings())
		}
	})
	t.Run("TR-QRY-10 after a loss it asks for everything", func(t *testing.T) {
		t.Parallel()
		f := &Follower{Diff: true, Cursor: true}
		f.Answered(answer(t, small(), updates(small(), 1)))
		n, again := f.Answered(answer(t, small(), updates(small(), 9), f.Next().Strings()...))
		if n.Whole || len(n.Revoked) != 0 || !again || f.Next().Diff {
			t.Fatalf("%+v", n)
		}
	})
	t.Run("TR-QRY-10,TR-RS-08 it notices a loss before it had any cursor", func(t *testing.T) {
		t.Parallel()
		for n := range 12 {
			f := &Follower{Diff: true, Cursor: true}
			f.Answered(answer(t, small(), updates(small(), 0)))
			known := map[ace.TokenHash]bool{}
			l := updates(small(), n)
			for again := true; again; {
				var news News
				news, again = f.Answered(answer(t, small(), l, f.Next().Strings()...))
				for _, h := range news.Revoked {
					known[h] = true
				}
			}
			if len(known) != n {
				t.Errorf("%d of %d", len(known), n)
			}
		}
	})
	t.Run("TR-QRY-09 as long as there is more it goes on", func(t *testing.T) {
		t.Parallel()
		f := &Follower{Diff: true, Cursor: true}
		f.Answered(answer(t, small(), updates(small(), 1)))
		l := updates(small(), 6)
		var got []ace.TokenHash
		for again := true; again; {
			var n News
			n, again = f.Answered(answer(t, small(), l, f.Next().Strings()...))
			got = append(got, n.Revoked...)
		}
		if !slices.Equal(got, l.full[1:]) {
			t.Fatal(len(got))
		}
	})
	t.Run("TR-RS-08 everything is asked for again regularly, whatever the others said", func(t *testing.T) {
		t.Parallel()
		f := &Follower{Diff: true, Cursor: true, FullEvery: 3}
		var whole []bool
		for range 8 {
			q := f.Next()
			whole = append(whole, !q.Diff)
			f.Answered(answer(t, small(), updates(small(), 2), q.Strings()...))
		}
		if !slices.Equal(whole, []bool{true, false, false, false, true, false, false, false}) {
			t.Fatal(whole)
		}
	})
	t.Run("TR-QRY-15 cursor and more are ignored by one that does not use them", func(t *testing.T) {
		t.Parallel()
		l := updates(small(), 4)
		f := &Follower{Diff: true}
		if n, again := f.Answered(answer(t, small(), l)); !n.Whole || again {
			t.Fatalf("%+v", n)
		}
		if q := f.Next(); !slices.Equal(q.Strings(), []string{"diff=0"}) {
			t.Fatal(q)
		}
		if n, again := f.Answered(answer(t, small(), l, "diff=0")); len(n.Revoked) != 2 || again || f.at != nil {
			t.Fatalf("%+v", n)
		}
		if n, again := f.Answered(&Response{Diff: []Entry{}, WithCursor: true, More: true}); len(n.Revoked) != 0 || again || !f.Next().Diff {
			t.Fatalf("%+v", n)
		}
		never := &Follower{}
		never.Answered(answer(t, small(), l))
		if never.Next().Diff {
			t.Fatal("asked for a diff")
		}
	})
	t.Run("TR-RS-12 a notification that follows on what is known is taken in, and nothing is asked for", func(t *testing.T) {
		t.Parallel()
		f := &Follower{Diff: true, Cursor: true}
		f.Answered(answer(t, small(), &list{}))
		for n := 1; n < 8; n++ {
			p := answer(t, small(), updates(small(), n), "diff=2")
			news, again := f.Notified(p)
			if again || f.at == nil || *f.at != uint64(n-1) || !slices.Contains(news.Revoked, hash(byte(n-1))) || news.Whole {
				t.Fatalf("%d: %+v, again %v", n, news, again)
			}
		}
		if n, again := f.Notified(answer(t, small(), updates(small(), 7), "diff=2")); again || *f.at != 6 || len(n.Revoked) != 2 {
			t.Fatal("the same once more")
		}
	})
	t.Run("TR-RS-09,TR-RS-12 after lost notifications what is missing is asked for", func(t *testing.T) {
		t.Parallel()
		f := &Follower{Diff: true, Cursor: true}
		f.Answered(answer(t, small(), updates(small(), 2)))
		l := updates(small(), 5)
		n, again := f.Notified(answer(t, small(), l, "diff=2"))
		if !again || !slices.Equal(n.Revoked, l.full[3:]) || *f.at != 1 {
			t.Fatalf("%+v, again %v", n, again)
		}
		var got []ace.TokenHash
		for again {
			n, again = f.Answered(answer(t, small(), l, f.Next().Strings()...))
			got = append(got, n.Revoked...)
		}
		if !slices.Equal(got, l.full[2:]) {
			t.Fatalf("%d were learned", len(got))
		}
		if _, again := f.Notified(answer(t, small(), updates(small(), 3), "diff=2")); !again || *f.at != 4 {
			t.Fatal("an overtaken notification moved the cursor back")
		}
		if _, again := f.Notified(answer(t, small(), &list{}, "diff=2")); !again {
			t.Fatal("the series began anew, and nothing is asked for")
		}
		if _, again := f.Notified(&Response{Diff: []Entry{}, WithCursor: true, Cursor: f.at, More: true}); !again {
			t.Fatal("there is more, and nothing is asked for")
		}
	})
	t.Run("a notification concludes nothing from what it does not name, and without any query before one follows", func(t *testing.T) {
		t.Parallel()
		for _, c := range []*Follower{{}, {Diff: true}, {Diff: true, Cursor: true}} {
			for _, q := range [][]string{nil, {"diff=2"}} {
				f := *c
				if n, again := f.Notified(answer(t, small(), updates(small(), 2), q...)); n.Whole || len(n.Revoked) != 2 || !again {
					t.Fatalf("%+v: %+v, again %v", c, n, again)
				}
			}
		}
		f := &Follower{Diff: true}
		f.Answered(answer(t, small(), updates(small(), 1)))
		if n, again := f.Notified(answer(t, small(), updates(small(), 4), "diff=0")); again || len(n.Revoked) != 2 {
			t.Fatalf("without the extension: %+v, again %v", n, again)
		}
	})
	t.Run("TR-RS-12 after an error nothing is concluded, and everything is asked for", func(t *testing.T) {
		t.Parallel()
		f := &Follower{Diff: true, Cursor: true}
		f.Answered(answer(t, small(), updates(small(), 1)))
		f.Lost()
		if f.Next().Diff {
			t.Fatal("a diff")
		}
	})
	t.Run("what came and went within one answer is told by its end", func(t *testing.T) {
		t.Parallel()
		n := merge([]Entry{{Removed: []ace.TokenHash{hash(1)}}, {Added: []ace.TokenHash{hash(1), hash(2)}}})
		if !slices.Equal(n.Revoked, []ace.TokenHash{hash(2)}) || !slices.Equal(n.Expired, []ace.TokenHash{hash(1)}) {
			t.Fatalf("%+v", n)
		}
	})
	t.Run("at random, it always ends up with what the server has", func(t *testing.T) {
		t.Parallel()
		s := Support{Diff: true, MaxN: 4, Cursor: true, Batch: 2, Index: 299}
		for seed := range uint64(200) {
			r := rand.New(rand.NewPCG(seed, 1))
			l := &list{c: Collection{Added: 290}}
			f := &Follower{Diff: seed%3 > 0, Cursor: seed%3 > 1, FullEvery: 1000}
			if !f.Cursor {
				f.FullEvery = 1 // nothing tells of a loss then
			}
			known := map[ace.TokenHash]bool{}
			for range 40 {
				for range r.IntN(7) {
					var e Entry
					if n := len(l.full); n > 0 && r.IntN(2) == 0 {
						i := r.IntN(n)
						e.Removed = append(e.Removed, l.full[i])
						l.full = slices.Delete(l.full, i, i+1)
					} else {
						h := hash(byte(r.IntN(256)))
						if slices.Contains(l.full, h) {
							continue
						}
						e.Added = append(e.Added, h)
						l.full = append(l.full, h)
					}
					l.c.Add(s, e)
				}
				for again := true; again; {
					var n News
					n, again = f.Answered(answer(t, s, l, f.Next().Strings()...))
					if n.Whole {
						clear(known)
					}
					for _, h := range n.Revoked {
						known[h] = true
					}
					for _, h := range n.Expired {
						delete(known, h)
					}
				}
				if !f.Cursor && f.since > 0 {
					continue // between two full queries
				}
				if len(known) != len(l.full) {
					t.Fatalf("seed %d: %d known of %d", seed, len(known), len(l.full))
				}
				for _, h := range l.full {
					if !known[h] {
						t.Fatalf("seed %d: %v is not known", seed, h)
					}
				}
			}
		}
	})
}
