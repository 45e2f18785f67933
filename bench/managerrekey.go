package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cohort-iot/cohort/internal/manager"
)

// confirmations counts the rekeying messages that members have confirmed.
type confirmations struct{ n atomic.Int64 }

var _ manager.Meter = (*confirmations)(nil)

func (c *confirmations) Delivered(_ string, s manager.Stage, _ time.Duration) {
	if s == manager.StageConfirmed {
		c.n.Add(1)
	}
}

func (c *confirmations) Joined(string, bool)                   {}
func (c *confirmations) Left(string, manager.Cause)            {}
func (c *confirmations) Rekeyed(string, manager.Cause, uint64) {}
func (c *confirmations) Refused(manager.Kind)                  {}
func (c *confirmations) Proved(bool)                           {}

// rekeyed is how a rekeying went, and how others were served meanwhile.
type rekeyed struct {
	load
	reads, joins []time.Duration // what others waited for, in order
}

// rekeyTimeout is how long a rekeying may take before the suite gives up.
const rekeyTimeout = 5 * time.Minute

// rekey rekeys a group and waits until every member has confirmed, which is seen in
// the store. Two devices go on asking meanwhile: one reads, one joins another group.
func (g *managed) rekey(m *meter, d *devices, group, other string, n int) (out rekeyed, err error) {
	var probe sync.WaitGroup
	var probed report
	var perr error
	probe.Go(func() { probed, perr = d.do("probe", group+" "+other, 1) })
	out.load, err = g.measured(m, "rekey", n, func() (r report, err error) {
		before, start := g.confirmed.n.Load(), time.Now()
		if _, err := g.svc.Rekey(context.Background(), group, manager.CauseOperator); err != nil {
			return r, err
		}
		// Only the count is looked at for as long as it grows: to go through all
		// members is work itself.
		for last, at := before, start; last < before+int64(n) && time.Since(at) < 2*time.Second; time.Sleep(2 * time.Millisecond) {
			if now := g.confirmed.n.Load(); now != last {
				last, at = now, time.Now()
			}
		}
		for {
			p, err := g.svc.Pending(context.Background(), group)
			if err != nil {
				return r, err
			}
			if len(p) == 0 {
				break
			}
			if time.Since(start) > rekeyTimeout {
				return r, fmt.Errorf("%d members have not confirmed", len(p))
			}
			time.Sleep(20 * time.Millisecond)
		}
		r.Took = time.Since(start)
		err = d.tell(order{Do: "end"})
		probe.Wait()
		r.CPU = probed.CPU
		return r, err
	})
	if err == nil {
		err = perr
	}
	out.reads, out.joins = probed.Times["read"], probed.Times["join"]
	return out, err
}

// p99 is the 99th percentile of times in order, in ms.
func p99(times []time.Duration) float64 {
	if len(times) == 0 {
		return 0
	}
	return micros(times[len(times)*99/100]) / 1e3
}

// spread tells more of times in order.
func spread(times []time.Duration) string {
	if len(times) == 0 {
		return "none"
	}
	ms := func(d time.Duration) float64 { return micros(d) / 1e3 }
	return fmt.Sprintf("%d of them, median %.3g ms, longest %.3g ms", len(times), ms(times[len(times)/2]), ms(slices.Max(times)))
}
