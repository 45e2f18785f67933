//go:build !race

package grouposcore

import (
	"testing"

	"github.com/plgd-dev/go-coap/v3/message"
)

// TestAllocations is not built with the race detector, under which sync.Pool
// forgets on purpose.
func TestAllocations(t *testing.T) {
	client, server := warm(t)
	const most = 2
	t.Run("pairwise protection", func(t *testing.T) {
		m := small()
		n := testing.AllocsPerRun(100, func() {
			if _, _, err := client.ProtectRequest(m, RequestOptions{Mode: PairwiseMode, To: []byte{0x52}}); err != nil {
				t.Fatal(err)
			}
		})
		if n > most {
			t.Fatalf("request: %v allocations", n)
		}
	})
	t.Run("pairwise verification", func(t *testing.T) {
		var queue []message.Message
		for range 102 {
			m, _ := ask(t, client, small(), PairwiseMode, []byte{0x52})
			queue = append(queue, m)
		}
		i := 0
		n := testing.AllocsPerRun(100, func() { hear(t, server, queue[i]); i++ })
		if n > most {
			t.Fatalf("request: %v allocations", n)
		}
	})
	t.Run("pairwise responses verified", func(t *testing.T) {
		type pair struct {
			m message.Message
			x *Exchange
		}
		var queue []pair
		for range 102 {
			m, cx := ask(t, client, small(), PairwiseMode, []byte{0x52})
			_, sx, _ := hear(t, server, m)
			queue = append(queue, pair{answer(t, server, content("x"), sx, ResponseOptions{Mode: PairwiseMode}), cx})
		}
		i := 0
		n := testing.AllocsPerRun(100, func() { learn(t, client, queue[i].m, queue[i].x); i++ })
		if n > most {
			t.Fatalf("response: %v allocations", n)
		}
	})
	t.Run("pairwise responses", func(t *testing.T) {
		m, _ := ask(t, client, observe(), PairwiseMode, []byte{0x52})
		_, sx, _ := hear(t, server, m)
		resp := content("x")
		n := testing.AllocsPerRun(100, func() { answer(t, server, resp, sx, ResponseOptions{Mode: PairwiseMode}) })
		if n > most {
			t.Fatalf("protect: %v allocations", n)
		}
	})
}
