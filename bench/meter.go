package main

import (
	"fmt"
	"math"
	"runtime"
	"time"
)

// batchTime is how long one batch of an operation takes, about: long beside
// the clock's resolution, short beside a scheduler's time slice.
const batchTime = time.Millisecond

// maxBatch bounds the messages that are made for one batch.
const maxBatch = 4096

// op is an operation to measure. make makes n inputs, off the clock; do
// performs the operation on input i.
type op struct {
	name string
	make func(n int) error // may be nil
	do   func(i int) error

	n       int     // operations a batch
	fastest float64 // nanoseconds an operation
}

// meter measures operations by turns.
type meter struct {
	rounds   int
	profiles string // directory for CPU profiles of tasks; empty: none
}

// time fills in fastest of each operation.
func (m *meter) time(ops ...*op) error {
	for _, o := range ops {
		o.fastest = math.Inf(1)
		if err := o.calibrate(); err != nil {
			return err
		}
	}
	for range m.rounds {
		for _, o := range ops {
			d, err := o.batch()
			if err != nil {
				return err
			}
			o.fastest = min(o.fastest, float64(d.Nanoseconds())/float64(o.n))
		}
	}
	return nil
}

// calibrate chooses n.
func (o *op) calibrate() error {
	for o.n = 1; o.n < maxBatch; o.n *= 2 {
		d, err := o.batch()
		if err != nil {
			return err
		}
		if d >= batchTime*3/4 {
			return nil
		}
	}
	return nil
}

// batch makes inputs and performs the operation on each.
func (o *op) batch() (time.Duration, error) {
	if o.make != nil {
		if err := o.make(o.n); err != nil {
			return 0, fmt.Errorf("%s: prepare: %w", o.name, err)
		}
	}
	start := time.Now()
	for i := range o.n {
		if err := o.do(i); err != nil {
			return 0, fmt.Errorf("%s: %w", o.name, err)
		}
	}
	return time.Since(start), nil
}

// allocations is how many a single operation makes: the least of three
// batches, since the runtime allocates now and then too.
func (o *op) allocations() (float64, error) {
	least := math.Inf(1)
	for range 3 {
		if o.make != nil {
			if err := o.make(o.n); err != nil {
				return 0, fmt.Errorf("%s: prepare: %w", o.name, err)
			}
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for i := range o.n {
			if err := o.do(i); err != nil {
				return 0, fmt.Errorf("%s: %w", o.name, err)
			}
		}
		runtime.ReadMemStats(&after)
		least = min(least, float64(after.Mallocs-before.Mallocs)/float64(o.n))
	}
	return math.Round(least*10) / 10, nil
}
