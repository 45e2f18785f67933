package endpoint

import (
	"math/rand/v2"
	"net/netip"
	"testing"
)

// TestIntakeModel does at random what the read loop and workers do, and compares
// with a plain list.
func TestIntakeModel(t *testing.T) {
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 1))
		room, most, perLane := 1+rng.IntN(40), 1+rng.IntN(12), 1+rng.IntN(8)
		in := newIntake(room, most, perLane, 4)
		s := &socket{}
		waiting := map[remote][]*inflight{} // in the order of arrival
		work := map[remote][]*inflight{}
		opening := map[remote]*inflight{}
		cost := func() (n int) {
			for _, fs := range waiting {
				for _, f := range fs {
					n += in.cost(f)
				}
			}
			return n
		}
		longest := func(r remote) (n int) {
			for _, f := range waiting[r] {
				n += in.cost(f)
			}
			return n
		}
		for step := range 3000 {
			r := remote{addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(rng.IntN(6))}), 1)}
			switch rng.IntN(5) {
			case 0, 1:
				f := &inflight{d: datagram{from: r.addr, sock: s, data: make([]byte, rng.IntN(2)*rng.IntN(5000))}}
				ok, evicted := in.add(f)
				var out []*inflight // the last one first in the list
				for ; evicted != nil; evicted = evicted.next {
					out = append([]*inflight{evicted}, out...)
				}
				for _, x := range out {
					v := x.d.remote()
					last := len(waiting[v]) - 1
					if waiting[v][last] != x {
						t.Fatal("not the last of its lane lost its place")
					}
					for o := range waiting {
						if longest(o) > longest(v) {
							t.Fatalf("a lane of %d lost a place to one of %d", longest(v), longest(o))
						}
					}
					if waiting[v] = waiting[v][:last]; v == r {
						t.Fatal("one's own lane lost a place")
					}
				}
				if ok {
					waiting[r] = append(waiting[r], f)
				} else if cost()+in.cost(f) <= room {
					t.Fatal("refused although there is room")
				}
			case 2, 3:
				n, extra := 0, 0
				for _, fs := range work {
					n += len(fs)
					extra += max(0, len(fs)-1)
				}
				allowed := func(r remote) bool {
					w := len(work[r])
					return opening[r] == nil && n < most && (w == 0 || w < perLane && w < most-n && extra < most/2)
				}
				f := in.take()
				if f == nil {
					for o, fs := range waiting {
						if len(fs) > 0 && allowed(o) {
							t.Fatalf("step %d: nothing to take", step)
						}
					}
					break
				}
				v := f.d.remote()
				if len(waiting[v]) == 0 || waiting[v][0] != f || !allowed(v) {
					t.Fatal("taken out of turn")
				}
				waiting[v], work[v], opening[v] = waiting[v][1:], append(work[v], f), f
			case 4:
				if f := opening[r]; f != nil && rng.IntN(2) == 0 {
					in.opened(f)
					delete(opening, r)
				} else if fs := work[r]; len(fs) > 0 {
					i := rng.IntN(len(fs))
					in.done(fs[i])
					if opening[r] == fs[i] {
						delete(opening, r)
					}
					work[r] = append(fs[:i:i], fs[i+1:]...)
				}
			}
			if in.waiting != cost() || in.waiting > room {
				t.Fatalf("%d waiting, %d counted, room for %d", cost(), in.waiting, room)
			}
		}
		for in.waiting > 0 || in.working > 0 {
			if f := in.take(); f != nil {
				in.done(f)
				continue
			}
			for r, fs := range work {
				for _, f := range fs {
					in.done(f)
				}
				delete(work, r)
			}
		}
		if len(in.lanes) != 0 || len(in.held) != 0 || in.first != nil || in.last != nil || in.top != 0 || in.extra != 0 {
			t.Fatalf("something is left: %d lanes", len(in.lanes))
		}
	}
}
