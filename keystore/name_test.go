package keystore

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
)

func TestName(t *testing.T) {
	t.Run("names sort by their numbers", func(t *testing.T) {
		names := []Name{Key("a"), Key("a", 0), Key("a", 1), Key("a", 1, 0), Key("a", 2), Key("a", 255), Key("a", 256), Key("a", math.MaxUint64), Key("a-b"), Key("ab")}
		if !slices.IsSorted(names) {
			t.Fatalf("not sorted: %v", names)
		}
	})
	t.Run("kind and numbers come back", func(t *testing.T) {
		n := Key("member", 7, 1<<40)
		if n.Kind() != "member" || !slices.Equal(n.IDs(), []uint64{7, 1 << 40}) || n.ID(1) != 1<<40 || n.ID(2) != 0 || n.ID(-1) != 0 {
			t.Fatalf("%q: %v %v", string(n), n.Kind(), n.IDs())
		}
		if s := fmt.Sprint(n); s != "member/7/1099511627776" {
			t.Fatal(s)
		}
	})
	t.Run("invalid kinds and too many numbers panic", func(t *testing.T) {
		for _, kind := range []string{"", "A", "_x", "1a", "a b", "a/b", "a\x00", "ä", "abcdefghijklmnopqrstuvwxyz0123456"} {
			if !panics(func() { Key(kind) }) {
				t.Errorf("kind %q is accepted", kind)
			}
		}
		if !panics(func() { Key("a", 1, 2, 3, 4, 5, 6, 7) }) {
			t.Error("seven numbers are accepted")
		}
	})
	t.Run("names that Key does not make are refused", func(t *testing.T) {
		for _, n := range []Name{"", "a", "a\x00b", "\x00", headName, internalKey("x", 1), Name("a\x00" + string(make([]byte, 56)))} {
			if err := n.check(); !errors.Is(err, ErrName) {
				t.Errorf("%q: %v", string(n), err)
			}
			_ = n.String()
		}
	})
}

func panics(fn func()) (yes bool) {
	defer func() { yes = recover() != nil }()
	fn()
	return false
}

func FuzzName(f *testing.F) {
	f.Add(string(Key("member", 7, 8)))
	f.Add("a\x00b")
	f.Fuzz(func(t *testing.T, s string) {
		n := Name(s)
		_ = n.String()
		if n.check() == nil && Key(n.Kind(), n.IDs()...) != n {
			t.Fatalf("%q passes and is not what Key makes", s)
		}
	})
}
