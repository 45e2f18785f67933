package cborx

import (
	"math/rand/v2"
	"testing"
)

// TestKeySet compares the set with a map, over keys in order and in any order.
func TestKeySet(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for round := range 5000 {
		n := 1 + rng.IntN(3*smallMap)
		from := rng.IntN(n + 1) // from there on in any order
		var s keySet
		known := map[string]bool{}
		for i := range n {
			key := []byte{byte(2 * i)}
			if i >= from {
				key[0] = byte(rng.IntN(4 * n))
			}
			var got bool
			if s, got = s.add(key); got == known[string(key)] {
				t.Fatalf("round %d: key %d of %d, %x after %x: new %v", round, i, n, key, s.list, got)
			}
			known[string(key)] = true
		}
	}
}

func TestMapsAllocateLittle(t *testing.T) {
	for name, n := range map[string]byte{"few": smallMap, "many": 40} {
		b := []byte{0xb8, n}
		for i := range n {
			if i >= info1Byte {
				b = append(b, 0x18)
			}
			b = append(b, i, 0xf5)
		}
		if err := Wellformed(b); err != nil {
			t.Fatal(name, err)
		}
		if got := testing.AllocsPerRun(100, func() { _ = Wellformed(b) }); got > float64(n/smallMap) || n <= smallMap && got > 0 {
			t.Errorf("%s: %v allocations", name, got)
		}
	}
}
