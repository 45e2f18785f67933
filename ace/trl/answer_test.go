package trl

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/cohort-iot/cohort/ace"
)

func TestFullQuery(t *testing.T) {
	t.Parallel()
	t.Run("TR-TRL-01,TR-QRY-01 the list begins as the empty set", func(t *testing.T) {
		t.Parallel()
		p := answer(t, Support{}, &list{})
		if p.Full == nil || len(p.Full) != 0 || p.Diff != nil {
			t.Fatalf("%+v", p)
		}
		if got := p.Marshal(); string(got) != string(unhex("a1 00 80")) {
			t.Fatalf("%x", got)
		}
	})
	t.Run("TR-TRL-06,TR-QRY-01 a query without parameters gets all hashes", func(t *testing.T) {
		t.Parallel()
		for _, s := range []Support{{}, {Diff: true, MaxN: 5}, small()} {
			if p := answer(t, s, updates(s, 3)); len(p.Full) != 3 || p.Diff != nil {
				t.Fatalf("%+v: %+v", s, p)
			}
		}
	})
	t.Run("TR-QRY-02 the cursor is there if and only if diff queries and Cursor are supported", func(t *testing.T) {
		t.Parallel()
		for _, s := range []Support{{}, {Diff: true, MaxN: 5}} {
			if p := answer(t, s, updates(s, 3)); p.WithCursor {
				t.Fatalf("%+v", p)
			}
		}
		if p := answer(t, small(), updates(small(), 0)); !p.WithCursor || p.Cursor != nil {
			t.Fatalf("before any update: %+v", p)
		}
		if p := answer(t, small(), updates(small(), 3)); !p.WithCursor || *p.Cursor != 2 {
			t.Fatalf("after three: %+v", p)
		}
	})
	t.Run("TR-TRL-08 unknown parameters are ignored", func(t *testing.T) {
		t.Parallel()
		if p := answer(t, small(), updates(small(), 3), "c.pmax=5", "x", "", "=", "Diff=1"); len(p.Full) != 3 {
			t.Fatalf("%+v", p)
		}
		if p := answer(t, small(), updates(small(), 3), "y=1", "diff=1"); len(p.Diff) != 1 {
			t.Fatalf("%+v", p)
		}
	})
	t.Run("TR-TRL-12 what is not supported is ignored", func(t *testing.T) {
		t.Parallel()
		if p := answer(t, Support{}, updates(small(), 3), "diff=x", "cursor=-1"); len(p.Full) != 3 {
			t.Fatalf("%+v", p)
		}
		s := Support{Diff: true, MaxN: 5}
		if p := answer(t, s, updates(s, 3), "diff=0", "cursor=-1"); len(p.Diff) != 3 || p.WithCursor {
			t.Fatalf("%+v", p)
		}
		if p := answer(t, s, updates(s, 3), "cursor=1"); len(p.Full) != 3 {
			t.Fatalf("%+v", p)
		}
	})
	t.Run("faults of the source are no problem of the requester", func(t *testing.T) {
		t.Parallel()
		fail := errors.New("disk")
		for _, q := range [][]string{nil, {"diff=0"}} {
			_, err := Answer(small(), q, &list{fail: fail})
			wantErr(t, err, fail)
		}
	})
}

func TestParameters(t *testing.T) {
	t.Parallel()
	t.Run("TR-TRL-09 a diff that is neither 0 nor positive is an invalid value, whatever the cursor is", func(t *testing.T) {
		t.Parallel()
		for _, v := range []string{"diff=-1", "diff=", "diff", "diff=x", "diff=1.5", "diff=+1", "diff= 1"} {
			for _, more := range [][]string{nil, {"cursor=0"}, {"cursor=x"}} {
				if p := refused(t, small(), updates(small(), 3), append([]string{v}, more...)...); p.ID != InvalidValue || p.WithCursor {
					t.Errorf("%s %v: %+v", v, more, p)
				}
			}
		}
		refused(t, small(), updates(small(), 3), "diff=1", "diff=1")
		if p := answer(t, small(), updates(small(), 3), "diff=99999999999999999999999999"); len(p.Diff) != 2 || !p.More {
			t.Errorf("a great number: %+v", p)
		}
	})
	t.Run("TR-TRL-10 a cursor without diff is an invalid set", func(t *testing.T) {
		t.Parallel()
		for _, v := range []string{"cursor=1", "cursor=x", "cursor=-1"} {
			if p := refused(t, small(), updates(small(), 3), v); p.ID != InvalidSet || p.WithCursor {
				t.Errorf("%s: %+v", v, p)
			}
		}
	})
	t.Run("TR-TRL-10 a bad cursor is an invalid value, and the last index is told", func(t *testing.T) {
		t.Parallel()
		for _, v := range []string{"cursor=-1", "cursor=", "cursor=x", "cursor=100", "cursor=99999999999999999999999"} {
			if p := refused(t, small(), updates(small(), 3), "diff=0", v); p.ID != InvalidValue || !p.WithCursor || *p.Cursor != 2 {
				t.Errorf("%s: %+v", v, p)
			}
			if p := refused(t, small(), updates(small(), 0), "diff=0", v); p.ID != InvalidValue || !p.WithCursor || p.Cursor != nil {
				t.Errorf("%s, nothing yet: %+v", v, p)
			}
		}
	})
	t.Run("TR-TRL-11 a cursor beyond the last index is out of bound, unless the index has wrapped", func(t *testing.T) {
		t.Parallel()
		if p := refused(t, small(), updates(small(), 3), "diff=0", "cursor=3"); p.ID != OutOfBound || p.WithCursor {
			t.Fatalf("%+v", p)
		}
		answer(t, small(), updates(small(), 3), "diff=0", "cursor=2")
		answer(t, small(), updates(small(), 0), "diff=0", "cursor=3")
		answer(t, small(), updates(small(), 103), "diff=0", "cursor=50")
		if p := refused(t, small(), updates(small(), 100), "diff=0", "cursor=100"); p.ID != InvalidValue {
			t.Fatalf("%+v", p)
		}
	})
}

func TestDiffQuery(t *testing.T) {
	t.Parallel()
	plain := Support{Diff: true, MaxN: 5}
	t.Run("TR-QRY-04,TR-QRY-05 the latest updates are returned, newest first, as many as asked for and kept", func(t *testing.T) {
		t.Parallel()
		for _, c := range []struct {
			n     int
			query string
			want  []int
		}{
			{0, "diff=0", []int{}}, {0, "diff=3", []int{}},
			{3, "diff=0", []int{2, 1, 0}}, {3, "diff=2", []int{2, 1}}, {3, "diff=9", []int{2, 1, 0}},
			{8, "diff=0", []int{7, 6, 5, 4, 3}}, {8, "diff=4", []int{7, 6, 5, 4}}, {8, "diff=6", []int{7, 6, 5, 4, 3}},
		} {
			if p := answer(t, plain, updates(plain, c.n), c.query); p.Diff == nil || !slices.Equal(added(p), c.want) || p.Full != nil {
				t.Errorf("%d updates, %s: %v", c.n, c.query, added(p))
			}
		}
	})
	t.Run("TR-QRY-03 the most recent updates are kept, in order", func(t *testing.T) {
		t.Parallel()
		l := updates(plain, 12)
		if len(l.c.Entries) != 5 || l.c.Entries[0].Added[0] != hash(7) || l.c.Entries[4].Added[0] != hash(11) || l.c.Added != 12 {
			t.Fatalf("%+v", l.c)
		}
		wide := updates(Support{Diff: true, MaxN: 9}, 9) // of before a change of the configuration
		if p := answer(t, plain, wide, "diff=0"); !slices.Equal(added(p), []int{8, 7, 6, 5, 4}) {
			t.Fatal(added(p))
		}
	})
	t.Run("TR-QRY-14 without Cursor neither cursor nor more is sent", func(t *testing.T) {
		t.Parallel()
		got := answer(t, plain, updates(plain, 1), "diff=0").Marshal()
		h := hash(0)
		want := append(unhex("a1 01 81 82 80 81 5821"), h[:]...)
		if string(got) != string(want) {
			t.Fatalf("%x", got)
		}
	})
	t.Run("TR-TRL-17 one update may hold several hashes", func(t *testing.T) {
		t.Parallel()
		l := &list{}
		l.c.Add(plain, Entry{Removed: []ace.TokenHash{hash(1), hash(2)}, Added: []ace.TokenHash{hash(3), hash(4)}})
		if p := answer(t, plain, l, "diff=0"); len(p.Diff) != 1 || len(p.Diff[0].Removed) != 2 || len(p.Diff[0].Added) != 2 {
			t.Fatalf("%+v", p)
		}
	})
}

func TestCursor(t *testing.T) {
	t.Parallel()
	s := small()
	check := func(t *testing.T, p *Response, want []int, cursor int, more bool) {
		t.Helper()
		at := -1
		if p.Cursor != nil {
			at = int(*p.Cursor)
		}
		if !slices.Equal(added(p), want) || at != cursor || p.More != more || !p.WithCursor {
			t.Fatalf("%v, cursor %d, more %v", added(p), at, p.More)
		}
	}
	t.Run("TR-QRY-06 indices count from 0 and wrap after MAX_INDEX", func(t *testing.T) {
		t.Parallel()
		l := updates(s, 1)
		if *l.c.last(s) != 0 {
			t.Fatal(*l.c.last(s))
		}
		for _, c := range []struct{ n, last int }{{100, 99}, {101, 0}, {102, 1}, {200, 99}} {
			if l := updates(s, c.n); int(*l.c.last(s)) != c.last || l.c.wrapped(s) != (c.n > 100) {
				t.Errorf("%d: %d", c.n, *l.c.last(s))
			}
		}
		whole := s
		whole.Index = math.MaxUint64
		big := Collection{Added: math.MaxUint64}
		big.Add(whole, Entry{})
		if *big.last(whole) != math.MaxUint64 || whole.Validate() != nil {
			t.Error(*big.last(whole))
		}
		for _, bad := range []Support{{Diff: true}, {Cursor: true}, {Diff: true, MaxN: 5, Cursor: true, Batch: 6, Index: 99}, {Diff: true, MaxN: 5, Cursor: true, Index: 99},
			{Diff: true, MaxN: 5, Cursor: true, Batch: 2, Index: 3}} {
			if bad.Validate() == nil {
				t.Errorf("%+v", bad)
			}
		}
		if DefaultSupport().Validate() != nil || (Support{}).Validate() != nil {
			t.Error("the defaults are refused")
		}
	})
	t.Run("TR-QRY-07 nothing yet: empty, null, false, with a cursor in the query too", func(t *testing.T) {
		t.Parallel()
		for _, q := range [][]string{{"diff=0"}, {"diff=2", "cursor=7"}} {
			p := answer(t, s, updates(s, 0), q...)
			check(t, p, []int{}, -1, false)
			if string(p.Marshal()) != string(unhex("a3 01 80 02 f6 03 f4")) {
				t.Fatalf("%x", p.Marshal())
			}
		}
	})
	t.Run("TR-QRY-08,TR-QRY-09 without cursor the oldest of the latest are sent first, and more says so", func(t *testing.T) {
		t.Parallel()
		check(t, answer(t, s, updates(s, 2), "diff=0"), []int{1, 0}, 1, false)
		check(t, answer(t, s, updates(s, 4), "diff=0"), []int{1, 0}, 1, true)
		check(t, answer(t, s, updates(s, 4), "diff=3"), []int{2, 1}, 2, true)
		check(t, answer(t, s, updates(s, 4), "diff=1"), []int{3}, 3, false)
		check(t, answer(t, s, updates(s, 9), "diff=0"), []int{5, 4}, 5, true)
	})
	t.Run("TR-QRY-11,TR-QRY-17 with a cursor those after it are sent", func(t *testing.T) {
		t.Parallel()
		l := updates(s, 9) // 4 to 8 are kept
		check(t, answer(t, s, l, "diff=0", "cursor=8"), []int{}, 8, false)
		check(t, answer(t, s, l, "diff=0", "cursor=7"), []int{8}, 8, false)
		check(t, answer(t, s, l, "diff=0", "cursor=6"), []int{8, 7}, 8, false)
		check(t, answer(t, s, l, "diff=0", "cursor=4"), []int{6, 5}, 6, true)
		check(t, answer(t, s, l, "diff=0", "cursor=3"), []int{5, 4}, 5, true) // 3 is gone, 4 is there
		check(t, answer(t, s, l, "diff=3", "cursor=3"), []int{7, 6}, 7, true)
		check(t, answer(t, s, l, "diff=1", "cursor=4"), []int{8}, 8, false)
	})
	t.Run("TR-QRY-10 if what follows the cursor is gone, everything has to be asked for", func(t *testing.T) {
		t.Parallel()
		p := answer(t, s, updates(s, 9), "diff=0", "cursor=2")
		check(t, p, []int{}, -1, true)
		if string(p.Marshal()) != string(unhex("a3 01 80 02 f6 03 f5")) {
			t.Fatalf("%x", p.Marshal())
		}
	})
	t.Run("TR-QRY-06,TR-QRY-11 the cursor works across the wrap", func(t *testing.T) {
		t.Parallel()
		l := updates(s, 102) // 97, 98, 99, 0, 1
		check(t, answer(t, s, l, "diff=0", "cursor=98"), []int{100, 99}, 0, true)
		check(t, answer(t, s, l, "diff=0", "cursor=0"), []int{101}, 1, false)
		check(t, answer(t, s, l, "diff=0", "cursor=96"), []int{98, 97}, 98, true)
		check(t, answer(t, s, updates(s, 105), "diff=0", "cursor=99"), []int{101, 100}, 1, true) // 0 to 4
	})
}
