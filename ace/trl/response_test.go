package trl

import (
	"bytes"
	"testing"

	"github.com/cohort-iot/cohort/ace"
)

func TestResponse(t *testing.T) {
	t.Parallel()
	t.Run("TR-TRL-05 both kinds are maps that come back as they were", func(t *testing.T) {
		t.Parallel()
		at := uint64(7)
		for _, p := range []*Response{
			{Full: []ace.TokenHash{}}, {Full: []ace.TokenHash{hash(1), hash(2)}, WithCursor: true}, {Full: []ace.TokenHash{hash(1)}, WithCursor: true, Cursor: &at},
			{Diff: []Entry{}}, {Diff: []Entry{{Removed: []ace.TokenHash{hash(1)}, Added: []ace.TokenHash{}}}, WithCursor: true, Cursor: &at, More: true},
		} {
			got, err := ParseResponse(p.Marshal())
			if err != nil || !bytes.Equal(got.Marshal(), p.Marshal()) || got.WithCursor != p.WithCursor || got.More != p.More {
				t.Errorf("%+v: %+v, %v", p, got, err)
			}
		}
	})
	t.Run("TR-TRL-01,TR-HASH-06 each hash is a byte string of 33 bytes", func(t *testing.T) {
		t.Parallel()
		h := hash(1)
		if got := (&Response{Full: []ace.TokenHash{h}}).Marshal(); !bytes.Equal(got, append(unhex("a1 00 81 5821"), h[:]...)) {
			t.Fatalf("%x", got)
		}
	})
	t.Run("other shapes are malformed", func(t *testing.T) {
		t.Parallel()
		for _, in := range []string{
			"", "80", "a0", "a2 00 80 01 80", "a1 00 81 41 01", "a1 00 81 5821 02" + string(bytes.Repeat([]byte("00"), 32)), "a1 00 81 01", "a1 01 81 80",
			"a1 01 81 83 80 80 80", "a1 01 81 82 80 01", "a2 00 80 02 20", "a2 01 80 03 01", "a1 00 a0",
		} {
			if _, err := ParseResponse(unhex(in)); err == nil {
				t.Errorf("%s: taken", in)
			} else {
				wantErr(t, err, ace.ErrMalformed)
			}
		}
	})
}

func TestProblem(t *testing.T) {
	t.Parallel()
	t.Run("TR-TRL-07 an error has its identifier, and the cursor where that is told", func(t *testing.T) {
		t.Parallel()
		at := uint64(42)
		for _, c := range []struct {
			p    Problem
			want string
		}{
			{Problem{ID: InvalidValue, WithCursor: true, Cursor: &at}, "a2 00 00 01 182a"},
			{Problem{ID: InvalidValue, WithCursor: true}, "a2 00 00 01 f6"},
			{Problem{ID: InvalidSet}, "a1 00 01"},
			{Problem{ID: OutOfBound, Detail: "no"}, "a1 00 02"},
		} {
			b := c.p.Marshal()
			if !bytes.Contains(b, append([]byte{1}, unhex(c.want)...)) {
				t.Errorf("%+v: %x", c.p, b)
			}
			got, ok, err := ParseProblem(b)
			if err != nil || !ok || got.ID != c.p.ID || got.Detail != c.p.Detail || got.WithCursor != c.p.WithCursor || (got.Cursor == nil) != (c.p.Cursor == nil) || got.Error() == "" {
				t.Errorf("%+v: %+v, %v", c.p, got, err)
			}
		}
	})
	t.Run("problem details of something else say nothing", func(t *testing.T) {
		t.Parallel()
		if p, ok, err := ParseProblem(unhex("a1 20 61 61")); p != nil || ok || err != nil {
			t.Fatal(p, ok, err)
		}
		for _, in := range []string{"", "80", "a1 01 80", "a1 01 a0", "a1 01 a1 00 61 61", "a1 01 a2 00 01 01 20", "a2 01 a1 00 01 21 01"} {
			if _, _, err := ParseProblem(unhex(in)); err == nil {
				t.Errorf("%s: taken", in)
			} else {
				wantErr(t, err, ace.ErrMalformed)
			}
		}
		if ErrorID(9).String() != "error 9" {
			t.Error(ErrorID(9).String())
		}
	})
}

func FuzzParseResponse(f *testing.F) {
	at := uint64(7)
	f.Add((&Response{Full: []ace.TokenHash{hash(1)}, WithCursor: true, Cursor: &at}).Marshal())
	f.Add((&Response{Diff: []Entry{{Removed: []ace.TokenHash{hash(1)}, Added: []ace.TokenHash{}}}, WithCursor: true, More: true}).Marshal())
	f.Fuzz(func(t *testing.T, in []byte) {
		p, err := ParseResponse(in)
		if err != nil {
			wantErr(t, err, ace.ErrMalformed)
			return
		}
		again, err := ParseResponse(p.Marshal())
		if err != nil || !bytes.Equal(again.Marshal(), p.Marshal()) {
			t.Fatal(err)
		}
		var follow Follower
		follow.Diff, follow.Cursor = true, true
		follow.Answered(p)
		follow.Next()
	})
}

func FuzzParseProblem(f *testing.F) {
	f.Add((&Problem{ID: InvalidValue, Detail: "x", WithCursor: true}).Marshal())
	f.Fuzz(func(t *testing.T, in []byte) {
		p, ok, err := ParseProblem(in)
		if err != nil {
			wantErr(t, err, ace.ErrMalformed)
			return
		}
		if ok {
			if again, ok, err := ParseProblem(p.Marshal()); err != nil || !ok || again.ID != p.ID {
				t.Fatal(err)
			}
		}
	})
}

func FuzzAnswer(f *testing.F) {
	f.Add("diff=0", "cursor=1", uint8(7))
	f.Add("diff=3", "cursor=99", uint8(120))
	f.Fuzz(func(t *testing.T, one, two string, n uint8) {
		p, err := Answer(small(), []string{one, two}, updates(small(), int(n)))
		if (err == nil) == (p == nil) {
			t.Fatal(p, err)
		}
		if p != nil && len(p.Diff) > small().Batch {
			t.Fatal("more than a batch")
		}
	})
}
