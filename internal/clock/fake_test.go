package clock

import (
	"slices"
	"testing"
	"time"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func TestFakeRunsInOrder(t *testing.T) {
	t.Parallel()
	c := NewFake(start)
	var got []string
	note := func(s string) func() {
		return func() { got = append(got, s+"@"+c.Now().Sub(start).String()) }
	}
	c.AfterFunc(3*time.Second, note("c"))
	c.AfterFunc(time.Second, func() {
		note("a")()
		c.AfterFunc(time.Second, note("nested")) // due at 2 s, inside the same Advance
	})
	c.AfterFunc(time.Second, note("a2"))
	c.AfterFunc(10*time.Second, note("late"))

	c.Advance(999 * time.Millisecond)
	if len(got) != 0 {
		t.Fatalf("ran early: %v", got)
	}
	c.Advance(4 * time.Second)
	want := []string{"a@1s", "a2@1s", "nested@2s", "c@3s"}
	if !slices.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	if d := c.Now().Sub(start); d != 4999*time.Millisecond {
		t.Errorf("clock shows %v", d)
	}
	if due, ok := c.Next(); !ok || due.Sub(start) != 10*time.Second || c.Pending() != 1 {
		t.Errorf("next is %v %v, pending %d", due, ok, c.Pending())
	}
}

func TestFakeStop(t *testing.T) {
	t.Parallel()
	c := NewFake(start)
	ran := 0
	a := c.AfterFunc(time.Second, func() { ran++ })
	b := c.AfterFunc(-time.Second, func() { ran++ })
	if !a.Stop() || a.Stop() {
		t.Error("Stop must report true once")
	}
	c.Advance(0)
	if ran != 1 {
		t.Errorf("an overdue call ran %d times at Advance(0)", ran)
	}
	if b.Stop() {
		t.Error("Stop of a call already made reports true")
	}
	c.Advance(time.Hour)
	if ran != 1 {
		t.Error("a stopped call was made")
	}
	if _, ok := c.Next(); ok {
		t.Error("nothing is pending, but Next says so")
	}
}

func TestFakeStopFromCallback(t *testing.T) {
	t.Parallel()
	c := NewFake(start)
	ran := false
	var second Timer
	c.AfterFunc(time.Second, func() { second.Stop() })
	second = c.AfterFunc(2*time.Second, func() { ran = true })
	c.Advance(time.Minute)
	if ran {
		t.Error("a call stopped by an earlier one was made")
	}
}

func TestSystem(t *testing.T) {
	t.Parallel()
	c := System()
	done := make(chan struct{})
	c.AfterFunc(0, func() { close(done) })
	<-done
	tm := c.AfterFunc(time.Hour, func() { t.Error("called") })
	if !tm.Stop() || tm.Stop() {
		t.Error("Stop must report true once")
	}
	if d := time.Since(c.Now()); d < 0 || d > time.Minute {
		t.Errorf("system clock is %v off", d)
	}
}
