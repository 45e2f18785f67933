// Package clock lets time be injected.
//
// Code that waits or stamps takes a [Clock]. Commands pass [System]; tests pass
// a [Fake] and move it by hand, so that no test sleeps.
package clock

import "time"

// Clock tells the time and calls back later.
type Clock interface {
	// Now returns the present time.
	Now() time.Time
	// AfterFunc calls f once, d from now, on a goroutine of the clock's choice.
	// f must not block.
	AfterFunc(d time.Duration, f func()) Timer
}

// Timer is a pending call made by [Clock.AfterFunc].
type Timer interface {
	// Stop prevents the call. It reports false when the call was already made
	// (or is being made) or was stopped before.
	Stop() bool
}

type system struct{}

// System returns the machine's clock.
func System() Clock { return system{} }

func (system) Now() time.Time                            { return time.Now() }
func (system) AfterFunc(d time.Duration, f func()) Timer { return time.AfterFunc(d, f) }
