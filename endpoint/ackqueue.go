package endpoint

import (
	"sync"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"

	"github.com/cohort-iot/cohort/internal/clock"
)

// ackQueue sends empty acknowledgements for confirmable requests that are
// still in work after Config.ACKDelay (RFC 7252, Section 5.2.2). All wait
// equally long, so a list in the order of arrival and one timer serve any
// number of requests.
type ackQueue struct {
	e *Endpoint

	mu          sync.Mutex
	first, last *inflight
	timer       clock.Timer // nil when not armed
	stopped     bool
}

// waiting are the fields of an inflight that belong to the queue.
type waiting struct {
	prev, next *inflight
	due        time.Time
	queued     bool
}

func newACKQueue(e *Endpoint) *ackQueue { return &ackQueue{e: e} }

func (q *ackQueue) add(f *inflight, now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.stopped {
		return
	}
	f.wait = waiting{prev: q.last, due: now.Add(q.e.cfg.ACKDelay), queued: true}
	if q.last == nil {
		q.first = f
	} else {
		q.last.wait.next = f
	}
	q.last = f
	if q.timer == nil {
		q.timer = q.e.cfg.Clock.AfterFunc(q.e.cfg.ACKDelay, q.fire)
	}
}

// remove takes f out, if it still waits.
func (q *ackQueue) remove(f *inflight) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.unlink(f)
}

func (q *ackQueue) unlink(f *inflight) {
	if !f.wait.queued {
		return
	}
	if f.wait.prev == nil {
		q.first = f.wait.next
	} else {
		f.wait.prev.wait.next = f.wait.next
	}
	if f.wait.next == nil {
		q.last = f.wait.prev
	} else {
		f.wait.next.wait.prev = f.wait.prev
	}
	f.wait = waiting{}
}

// fire acknowledges what is due and arms the timer for the next request. The
// timer is left alone when requests end early: it then finds nothing to do.
func (q *ackQueue) fire() {
	now := q.e.cfg.Clock.Now()
	var due []*inflight
	q.mu.Lock()
	for f := q.first; f != nil && !f.wait.due.After(now); f = q.first {
		due = append(due, f)
		q.unlink(f)
	}
	q.timer = nil
	if q.first != nil && !q.stopped {
		q.timer = q.e.cfg.Clock.AfterFunc(q.first.wait.due.Sub(now), q.fire)
	}
	q.mu.Unlock()
	for _, f := range due {
		if f.acknowledge() {
			q.e.sendEmpty(f.d, message.Acknowledgement, f.mid)
		}
	}
}

func (q *ackQueue) stop() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.stopped = true
	if q.timer != nil {
		q.timer.Stop()
	}
	for q.first != nil {
		q.unlink(q.first)
	}
}
