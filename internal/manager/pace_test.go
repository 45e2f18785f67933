package manager

import (
	"context"
	"fmt"
	"testing"
	"time"
)

func TestPace(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	p := newPace(1000)
	taken := func() (n int) {
		for p.take(now) {
			n++
		}
		return n
	}
	if n := taken(); n != paceBurst {
		t.Fatalf("%d at once", n)
	}
	if w := p.wait(now); w != time.Millisecond {
		t.Fatalf("wait %v", w)
	}
	total := 0
	for range 500 {
		now = now.Add(3 * time.Millisecond)
		total += taken()
	}
	if total != 1500 {
		t.Fatalf("%d in 1.5 s", total)
	}
	now = now.Add(time.Hour)
	if n := taken(); n != paceBurst {
		t.Fatalf("%d at once after a pause", n)
	}
}

func TestDeliveryIsPaced(t *testing.T) {
	t.Parallel()
	const more = 6
	w := newWorld(t, func(o *Options) { o.DeliveryRate = 100 })
	w.group("g1", nil)
	for i := range paceBurst + more {
		w.lamp(fmt.Sprint("lamp-", i), "g1")
	}
	if _, err := w.Rekey(context.Background(), "g1", CauseOperator); err != nil {
		t.Fatal(err)
	}
	sleeps := func(queued int) {
		t.Helper()
		eventually(t, "the loop waits", func() bool {
			d := &w.delivery
			d.mu.Lock()
			defer d.mu.Unlock()
			return d.timer != nil && len(d.queue) == queued
		})
	}
	w.net.wait(t, paceBurst)
	sleeps(more)
	w.clock.Advance(20 * time.Millisecond)
	w.net.wait(t, 2)
	sleeps(more - 2)
	w.clock.Advance(time.Second)
	w.net.wait(t, more-2)
	eventually(t, "confirmed", func() bool { return len(w.pending("g1")) == 0 })
}
