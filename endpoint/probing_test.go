package endpoint

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

func TestProber(t *testing.T) {
	to := netip.MustParseAddrPort("224.0.1.187:5683")
	now := time.Unix(1000, 0)
	t.Run("who never answers gets PROBING_RATE bytes per second on average", func(t *testing.T) {
		p := newProber(1, 247*time.Second)
		sent, at := 0, now
		for at.Sub(now) < 10000*time.Second {
			wait := p.allow(to, 80, at)
			if wait > 0 {
				at = at.Add(wait)
				continue
			}
			sent += 80
		}
		if over := float64(sent) - 10000 - 247; over > 80 || over < -400 {
			t.Fatalf("%d bytes in 10000 s", sent)
		}
	})
	t.Run("an answer ends the count", func(t *testing.T) {
		p := newProber(1, 247*time.Second)
		for range 100 {
			if w := p.allow(to, 80, now); w != 0 {
				t.Fatal(w)
			}
			p.answered(to)
		}
	})
	t.Run("a datagram above the burst is allowed after silence", func(t *testing.T) {
		p := newProber(1, 10*time.Second)
		if p.allow(to, 1000, now) != 0 {
			t.Fatal("first")
		}
		w := p.allow(to, 1000, now)
		if w <= 0 || w > 1000*time.Second || p.allow(to, 1000, now.Add(w)) != 0 {
			t.Fatal(w)
		}
	})
	t.Run("room is bounded", func(t *testing.T) {
		p := newProber(1, 247*time.Second)
		for i := range 3 * maxSilent {
			p.allow(netip.AddrPortFrom(to.Addr(), uint16(i)), 80, now)
		}
		if len(p.silent) > maxSilent {
			t.Fatal(fmt.Sprint(len(p.silent)))
		}
	})
}
