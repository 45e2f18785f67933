package ratelimit

import (
	"math"
	"net/netip"
	"testing"
	"time"
)

// fakeTime is a clock that stands still until it is moved.
type fakeTime struct{ t time.Time }

func (f *fakeTime) now() time.Time { return f.t }

func TestLimiter(t *testing.T) {
	t.Parallel()
	t.Run("a key has its burst, then its rate", func(t *testing.T) {
		t.Parallel()
		f := &fakeTime{time.Unix(1e9, 0)}
		l := New[string](Limits{PerKey: Rate{2, 3}}, f.now)
		for range 3 {
			if _, ok := l.Allow("a"); !ok {
				t.Fatal("burst refused")
			}
		}
		retry, ok := l.Allow("a")
		if ok || retry != 500*time.Millisecond {
			t.Fatal(retry, ok)
		}
		if _, ok := l.Allow("b"); !ok {
			t.Fatal("another key pays for it")
		}
		f.t = f.t.Add(retry)
		if _, ok := l.Allow("a"); !ok {
			t.Fatal("refused after the time it was told")
		}
		f.t = f.t.Add(time.Hour)
		for i := range 4 {
			if _, ok := l.Allow("a"); ok != (i < 3) {
				t.Fatal("more than a burst was saved up", i)
			}
		}
	})
	t.Run("all keys together are bounded, and a refusal costs nothing", func(t *testing.T) {
		t.Parallel()
		f := &fakeTime{time.Unix(1e9, 0)}
		l := New[int](Limits{PerKey: Rate{1, 1}, Total: Rate{1, 2}}, f.now)
		for i, want := range []bool{true, true, false, false} {
			if _, ok := l.Allow(i); ok != want {
				t.Fatal(i, ok)
			}
		}
		f.t = f.t.Add(time.Second)
		if _, ok := l.Allow(3); !ok {
			t.Fatal("the refusal counted for the key")
		}
	})
	t.Run("the memory is bounded", func(t *testing.T) {
		t.Parallel()
		f := &fakeTime{time.Unix(1e9, 0)}
		l := New[int](Limits{PerKey: Rate{1, 1}, Keys: 4}, f.now)
		for i := range 100 {
			l.Allow(i)
		}
		if len(l.keys) != 4 || l.order.Len() != 4 {
			t.Fatal(len(l.keys), l.order.Len())
		}
		if _, ok := l.Allow(99); ok {
			t.Fatal("one that asked just now was forgotten")
		}
	})
	t.Run("a clock that goes back neither fills nor blocks", func(t *testing.T) {
		t.Parallel()
		f := &fakeTime{time.Unix(1e9, 0)}
		l := New[int](Limits{PerKey: Rate{1, 1}}, f.now)
		l.Allow(1)
		f.t = f.t.Add(-time.Hour)
		if _, ok := l.Allow(1); ok {
			t.Fatal("filled")
		}
		f.t = f.t.Add(time.Second)
		if _, ok := l.Allow(1); !ok {
			t.Fatal("blocked")
		}
	})
	t.Run("the zero rate bounds nothing", func(t *testing.T) {
		t.Parallel()
		l := New[int](Limits{}, time.Now)
		for range 1000 {
			if _, ok := l.Allow(1); !ok {
				t.Fatal("refused")
			}
		}
	})
	t.Run("what cannot be is named", func(t *testing.T) {
		t.Parallel()
		for _, l := range []Limits{{PerKey: Rate{1, 0}}, {Total: Rate{-1, 1}}, {PerKey: Rate{math.Inf(1), 1}}, {Keys: -1}} {
			if l.Validate() == nil {
				t.Errorf("%+v", l)
			}
		}
		if err := (Limits{PerKey: Rate{0.1, 1}}).Validate(); err != nil {
			t.Error(err)
		}
	})
}

func TestSource(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"192.0.2.1":         "192.0.2.1/32",
		"::ffff:192.0.2.1":  "192.0.2.1/32",
		"2001:db8::1:2:3:4": "2001:db8::/64",
		"fe80::1%eth0":      "fe80::/64",
	} {
		if got := Source(netip.MustParseAddr(in)); got.String() != want {
			t.Errorf("%s: %v", in, got)
		}
	}
	if Source(netip.Addr{}).IsValid() {
		t.Error("no address has a network")
	}
}

func TestSampler(t *testing.T) {
	t.Parallel()
	f := &fakeTime{time.Unix(1e9, 0)}
	s := NewSampler[string](time.Minute, f.now)
	for i := range 5 {
		if _, ok := s.Tell("a"); ok != (i == 0) {
			t.Fatal(i, ok)
		}
	}
	if _, ok := s.Tell("b"); !ok {
		t.Fatal("another kind is silenced")
	}
	f.t = f.t.Add(time.Minute)
	if n, ok := s.Tell("a"); !ok || n != 4 {
		t.Fatal(n, ok)
	}
	f.t = f.t.Add(-time.Hour)
	if _, ok := s.Tell("a"); !ok {
		t.Fatal("a clock set back silences")
	}
}
