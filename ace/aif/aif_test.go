package aif

import (
	"bytes"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/internal/cborx"
	"github.com/cohort-iot/cohort/internal/coapmsg"
)

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

const vector = "8382672f732f74656d700182662f612f6c65640582652f64746c7302"

func scope(t *testing.T, s string) Scope {
	t.Helper()
	out, err := ParseREST(unhex(s))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestParse(t *testing.T) {
	t.Parallel()
	t.Run("AI-001 a list is an array of pairs of any items", func(t *testing.T) {
		t.Parallel()
		in := unhex("82 82 f5 01 82 81 01 a0")
		list, err := Parse(in)
		if err != nil || len(list) != 2 || !bytes.Equal(list[0].Toid, unhex("f5")) || !bytes.Equal(list[1].Tperm, unhex("a0")) || !bytes.Equal(Marshal(list), in) {
			t.Fatalf("%+v, %v", list, err)
		}
		for _, bad := range []string{"", "a0", "81 81 01", "81 83 01 01 01", "81 01", "80 00", "9f ff"} {
			if _, err := Parse(unhex(bad)); !errors.Is(err, ErrAIF) {
				t.Errorf("%s: %v", bad, err)
			}
		}
		many := cborx.AppendArray(nil, MaxPairs+1)
		for range MaxPairs + 1 {
			many = append(many, 0x82, 1, 1)
		}
		if _, err := Parse(many); !errors.Is(err, ErrAIF) {
			t.Error("no bound")
		}
	})
	t.Run("AI-010,AI-005,AI-008 the example of the text", func(t *testing.T) {
		t.Parallel()
		s := scope(t, vector)
		want := Scope{{"/s/temp", GET}, {"/a/led", GET | PUT}, {"/dtls", POST}}
		if !slices.Equal(s, want) || !bytes.Equal(s.Marshal(), unhex(vector)) {
			t.Fatalf("%v", s)
		}
	})
	t.Run("AI-007 entries of one object merge, with the permissions of both", func(t *testing.T) {
		t.Parallel()
		s := scope(t, "82 82 62 2f61 01 82 62 2f61 04")
		if !slices.Equal(s, Scope{{"/a", GET | PUT}}) {
			t.Fatal(s)
		}
	})
	t.Run("AI-005 other objects and permissions are not of this form", func(t *testing.T) {
		t.Parallel()
		for _, bad := range []string{"81 82 01 01", "81 82 61 61 01", "81 82 62 2f61 20", "81 82 62 2f61 61 61", "81 82 60 01", "a0"} {
			if _, err := ParseREST(unhex(bad)); !errors.Is(err, ErrAIF) {
				t.Errorf("%s: %v", bad, err)
			}
		}
	})
}

func TestMethods(t *testing.T) {
	t.Parallel()
	t.Run("AI-008 a method's bit is its code less one", func(t *testing.T) {
		t.Parallel()
		for c, want := range map[codes.Code]Methods{
			codes.GET: 1, codes.POST: 2, codes.PUT: 4, codes.DELETE: 8, coapmsg.FETCH: 16, coapmsg.PATCH: 32, coapmsg.IPATCH: 64, 0: 0, 8: 0, codes.Content: 0,
		} {
			if Method(c) != want {
				t.Errorf("%d: %d", c, Method(c))
			}
		}
		if GET|POST|PUT|DELETE|FETCH|PATCH|IPATCH != 127 {
			t.Error("the constants are others")
		}
	})
	t.Run("AI-009 Dynamic-X is 32 bits above X", func(t *testing.T) {
		t.Parallel()
		if GET.Dynamic() != 1<<32 || IPATCH.Dynamic() != 1<<38 || (GET.Dynamic()|PUT).OnCreated() != GET {
			t.Fatal("another place")
		}
		s := Scope{{"/a", IPATCH.Dynamic()}}
		if got := s.Marshal(); !bytes.Equal(got, unhex("81 82 62 2f61 1b 0000004000000000")) {
			t.Fatalf("%x", got)
		}
		if got := scope(t, "81 82 62 2f61 1b 0000004000000000"); !slices.Equal(got, s) {
			t.Fatal(got)
		}
	})
	t.Run("they are named", func(t *testing.T) {
		t.Parallel()
		if got := (GET | IPATCH | PUT.Dynamic() | 1<<9).String(); got != "GET+iPATCH+bit9+Dynamic-PUT" {
			t.Fatal(got)
		}
		if Methods(0).String() != "none" {
			t.Fatal(Methods(0))
		}
	})
}

func TestJudge(t *testing.T) {
	t.Parallel()
	t.Run("AI-002,AC-097,AC-098 what is not listed is 4.03, another method 4.05", func(t *testing.T) {
		t.Parallel()
		s := scope(t, vector)
		for _, c := range []struct {
			method codes.Code
			local  string
			want   codes.Code
		}{
			{codes.GET, "/s/temp", 0}, {codes.PUT, "/a/led", 0}, {codes.POST, "/dtls", 0},
			{codes.PUT, "/s/temp", codes.MethodNotAllowed}, {codes.DELETE, "/a/led", codes.MethodNotAllowed}, {9, "/a/led", codes.MethodNotAllowed},
			{codes.GET, "/s", codes.Forbidden}, {codes.GET, "/s/temp/x", codes.Forbidden}, {codes.GET, "/s/temp?x", codes.Forbidden}, {codes.GET, "", codes.Forbidden},
		} {
			if got := s.Judge(c.method, c.local, nil, ""); got != c.want {
				t.Errorf("%v %s: %v", c.method, c.local, got)
			}
		}
		if got := (Scope{}).Judge(codes.GET, "/s/temp", nil, ""); got != codes.Forbidden {
			t.Error("an empty list grants something")
		}
	})
	t.Run("AI-005 the object of a request is its path and query", func(t *testing.T) {
		t.Parallel()
		o := message.Options{
			{ID: message.URIPath, Value: []byte("s")}, {ID: message.URIPath, Value: []byte("a/b")}, {ID: message.URIQuery, Value: []byte("u=c")}, {ID: message.URIQuery, Value: []byte("x")},
		}
		if got, err := Local(o); err != nil || got != "/s/a%2Fb?u=c&x" {
			t.Fatal(got, err)
		}
		if got, err := Local(nil); err != nil || got != "/" {
			t.Fatal(got, err)
		}
		if _, err := Local(message.Options{{ID: message.URIPath, Value: []byte("..")}}); !errors.Is(err, ErrAIF) {
			t.Fatal(err)
		}
	})
	t.Run("AI-014 where created objects are not kept only the other permissions count", func(t *testing.T) {
		t.Parallel()
		s := Scope{{"/jobs", POST | GET.Dynamic() | 1<<60}}
		if s.Judge(codes.POST, "/jobs", nil, "") != 0 || s.Judge(codes.GET, "/jobs", nil, "") != codes.MethodNotAllowed || s.Judge(codes.GET, "/jobs/1", nil, "") != codes.Forbidden {
			t.Fatal("a dynamic permission counts")
		}
	})
	t.Run("AI-006,AI-015 Dynamic-X holds for what the subject itself created on the listed object", func(t *testing.T) {
		t.Parallel()
		c := NewCreated(2)
		s := Scope{{"/jobs", POST | (GET | DELETE).Dynamic()}, {"/other", POST}}
		for _, m := range []struct{ subject, listed, local string }{{"a", "/jobs", "/jobs/1"}, {"a", "/other", "/other/1"}, {"a", "/jobs", "/jobs/1"}} {
			if err := c.Add(m.subject, m.listed, m.local); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.Add("b", "/jobs", "/jobs/2"); !errors.Is(err, ErrTooManyCreated) {
			t.Fatal(err)
		}
		for _, x := range []struct {
			subject string
			method  codes.Code
			local   string
			want    codes.Code
		}{
			{"a", codes.GET, "/jobs/1", 0}, {"a", codes.DELETE, "/jobs/1", 0}, {"a", codes.PUT, "/jobs/1", codes.MethodNotAllowed},
			{"b", codes.GET, "/jobs/1", codes.Forbidden}, {"a", codes.GET, "/jobs/2", codes.Forbidden}, {"a", codes.GET, "/other/1", codes.Forbidden},
			{"a", codes.GET, "/jobs", codes.MethodNotAllowed},
		} {
			if got := s.Judge(x.method, x.local, c, x.subject); got != x.want {
				t.Errorf("%s %v %s: %v", x.subject, x.method, x.local, got)
			}
		}
		c.Remove("/jobs/1")
		if s.Judge(codes.GET, "/jobs/1", c, "a") != codes.Forbidden {
			t.Error("gone, and still permitted")
		}
		c.End("a")
		if err := c.Add("b", "/jobs", "/jobs/2"); err != nil || s.Judge(codes.GET, "/jobs/2", c, "b") != 0 {
			t.Error(err)
		}
	})
}

func FuzzParseREST(f *testing.F) {
	f.Add(unhex(vector))
	f.Add(unhex("81 82 62 2f61 1b 0000004000000000"))
	f.Fuzz(func(t *testing.T, in []byte) {
		s, err := ParseREST(in)
		if err != nil {
			if !errors.Is(err, ErrAIF) {
				t.Fatal(err)
			}
			return
		}
		again, err := ParseREST(s.Marshal())
		if err != nil || !slices.Equal(s, again) {
			t.Fatal(s, again, err)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add(unhex(vector))
	f.Add(unhex("82 82 f5 03 82 62 6731 02"))
	f.Fuzz(func(t *testing.T, in []byte) {
		list, err := Parse(in)
		if err != nil {
			if !errors.Is(err, ErrAIF) {
				t.Fatal(err)
			}
			return
		}
		again, err := Parse(Marshal(list))
		if err != nil || !slices.EqualFunc(list, again, func(a, b Pair) bool { return string(a.Toid) == string(b.Toid) && string(a.Tperm) == string(b.Tperm) }) {
			t.Fatal(list, again, err)
		}
	})
}
