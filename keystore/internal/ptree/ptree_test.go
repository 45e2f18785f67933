package ptree

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func contents(m *Map, from string) (keys []string, all map[string]string) {
	all = map[string]string{}
	m.Ascend(from, func(k string, v []byte) bool {
		keys = append(keys, k)
		all[k] = string(v)
		return true
	})
	return keys, all
}

func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, want := New(), map[string]string{}
		type state struct {
			m    *Map
			want map[string]string
		}
		var old []state
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			old = append(old, state{m, maps.Clone(want)})
			k := rapid.StringOfN(rapid.RuneFrom([]rune("abc")), 0, 3, -1).Draw(t, "key")
			if rapid.Bool().Draw(t, "put") {
				v := rapid.StringN(0, 3, -1).Draw(t, "value")
				m, want[k] = m.Put(k, []byte(v)), v
			} else {
				m = m.Delete(k)
				delete(want, k)
			}
		}
		old = append(old, state{m, want})
		for i, s := range old {
			keys, all := contents(s.m, "")
			if !slices.IsSorted(keys) || !maps.Equal(all, s.want) || s.m.Len() != len(s.want) {
				t.Fatalf("state %d: %v, want %v", i, all, s.want)
			}
			size := 0
			for k, v := range s.want {
				size += len(k) + len(v)
				if got, ok := s.m.Get(k); !ok || string(got) != v {
					t.Fatalf("state %d: %q is %q", i, k, got)
				}
			}
			if s.m.Size() != size {
				t.Fatalf("state %d: size %d, want %d", i, s.m.Size(), size)
			}
			from := rapid.SampledFrom([]string{"", "a", "b", "bb", "c", "d"}).Draw(t, "from")
			keys, _ = contents(s.m, from)
			n := 0
			for k := range s.want {
				if k >= from {
					n++
				}
			}
			if len(keys) != n || n > 0 && keys[0] < from {
				t.Fatalf("state %d from %q: %v", i, from, keys)
			}
		}
	})
}

func TestAscend(t *testing.T) {
	m := New()
	for i := range 1000 {
		m = m.Put(fmt.Sprintf("%04d", i), nil)
	}
	t.Run("it stops when told to", func(t *testing.T) {
		n := 0
		m.Ascend("0500", func(k string, _ []byte) bool { n++; return k < "0509" })
		if n != 10 {
			t.Fatal(n)
		}
	})
	t.Run("the tree is not deep although the keys came in order", func(t *testing.T) {
		var depth func(n *node) int
		depth = func(n *node) int {
			if n == nil {
				return 0
			}
			return 1 + max(depth(n.left), depth(n.right))
		}
		if d := depth(m.root); d > 50 {
			t.Fatal(d)
		}
	})
}
