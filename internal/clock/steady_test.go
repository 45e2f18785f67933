package clock

import (
	"testing"
	"time"
)

// settable is a clock that somebody can set.
type settable struct {
	*Fake
	set time.Time
}

func (s *settable) Now() time.Time { return s.set }

func TestSteady(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	t.Run("it follows the clock below", func(t *testing.T) {
		t.Parallel()
		f := NewFake(start)
		s := NewSteady(f, time.Time{})
		for range 3 {
			if !s.Now().Equal(f.Now()) || s.Behind() != 0 {
				t.Fatal(s.Now())
			}
			f.Advance(time.Minute)
		}
	})
	t.Run("it does not go back, and waits until the other has caught up", func(t *testing.T) {
		t.Parallel()
		c := &settable{NewFake(start), start}
		s := NewSteady(c, time.Time{})
		before := s.Now()
		c.set = start.Add(-time.Hour)
		if now := s.Now(); !now.Equal(before) || s.Behind() != time.Hour {
			t.Fatal(now, s.Behind())
		}
		c.set = c.set.Add(time.Minute) // time passes
		if now := s.Now(); !now.Equal(before.Add(time.Minute)) {
			t.Fatal(now)
		}
		c.set = start.Add(2 * time.Minute) // set right again
		if now := s.Now(); now.Before(before.Add(time.Minute)) {
			t.Fatal(now)
		}
	})
	t.Run("over a restart it begins at the mark", func(t *testing.T) {
		t.Parallel()
		f := NewFake(start)
		mark := NewSteady(f, time.Time{}).Mark()
		again := NewSteady(NewFake(start.Add(-24*time.Hour)), mark)
		if !again.Now().Equal(mark) {
			t.Fatal(again.Now())
		}
	})
	t.Run("with the machine's clock it goes on by the monotonic one", func(t *testing.T) {
		t.Parallel()
		s := NewSteady(System(), time.Now().Add(time.Hour))
		began := time.Now()
		one := s.Now()
		for time.Since(began) < time.Millisecond {
		}
		if d := s.Now().Sub(one); d <= 0 || d > time.Since(began) {
			t.Fatal(d)
		}
	})
	t.Run("timers are those of the clock below", func(t *testing.T) {
		t.Parallel()
		f := NewFake(start)
		called := false
		NewSteady(f, start.Add(time.Hour)).AfterFunc(time.Second, func() { called = true })
		f.Advance(time.Second)
		if !called {
			t.Fatal("not called")
		}
	})
}
