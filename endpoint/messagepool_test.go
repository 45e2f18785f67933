//go:build !race

package endpoint

import (
	"context"
	"runtime"
	"testing"

	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/message/pool"
)

func TestMessagePool(t *testing.T) {
	var p messagePool
	ctx := context.Background()
	t.Run("a message comes back empty", func(t *testing.T) {
		m := p.AcquireMessage(ctx)
		m.SetCode(codes.Content)
		if err := m.SetPath("/a/b"); err != nil {
			t.Fatal(err)
		}
		p.ReleaseMessage(m)
		if m.Code() != codes.Empty || len(m.Options()) != 0 || m.Body() != nil {
			t.Fatalf("%v", m)
		}
	})
	t.Run("collections do not end the lending", func(t *testing.T) {
		const held = 64
		for range 40 {
			var lent [held]*pool.Message
			for i := range lent {
				lent[i] = p.AcquireMessage(ctx)
			}
			for _, m := range lent {
				p.ReleaseMessage(m)
			}
			runtime.GC()
		}
		allocs := testing.AllocsPerRun(1000, func() { p.ReleaseMessage(p.AcquireMessage(ctx)) })
		if allocs > 0.5 {
			t.Fatalf("%v allocations for a message that was lent before", allocs)
		}
	})
}
