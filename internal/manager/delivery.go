package manager

import (
	"container/heap"
	"context"
	"sync"
	"time"

	"github.com/cohort-iot/cohort/internal/clock"
	"github.com/cohort-iot/cohort/internal/secret"
	"github.com/cohort-iot/cohort/keystore"
)

// deliveryLoop hands rekeying messages and eviction notices to the Delivery
// port: at most DeliveryWorkers at once and DeliveryRate a second, one at a time
// for each member, with growing waits between attempts and an end. Its only goroutines are its own
// loop and the workers of exchanges under way; both end with Stop.
//
// What is to be delivered is derived from the store: a group is scanned when its
// version has changed since it was scanned last. A message is made when it is
// sent, so that a member always gets the newest version.
type deliveryLoop struct {
	wake  chan struct{}
	mu    sync.Mutex
	jobs  map[jobKey]*job
	queue jobQueue
	dirty bool              // the store may owe something that was not looked for
	seen  map[uint64]uint64 // group -> one more than the version scanned for
	timer clock.Timer
	pace  pace
	cache map[uint64]cachedMessage
}

// jobKey names what is owed to whom.
type jobKey struct {
	memberKey
	notice bool
}

type job struct {
	jobKey
	due      time.Time
	attempts int
	busy     bool
	version  uint64
	index    int // in the queue; -1 while busy
}

type cachedMessage struct {
	version uint64
	made    time.Time
	payload func() secret.Bytes // holds a Master Secret; behind a func, so that nothing prints it
}

// messageAge is how long a message is reused for other members: exi in it counts
// from when it was made.
const messageAge = 2 * time.Second

// wakeDelivery makes the loop look for what is owed.
func (s *Service) wakeDelivery() {
	s.delivery.mu.Lock()
	s.delivery.dirty = true
	s.delivery.mu.Unlock()
	signal(s.delivery.wake)
}

func (d *deliveryLoop) takeDirty() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	was := d.dirty
	d.dirty = false
	return was
}

// runDelivery is the loop.
func (s *Service) runDelivery(ctx context.Context) {
	var workers sync.WaitGroup
	defer workers.Wait()
	slots := make(chan struct{}, s.opt.DeliveryWorkers)
	for {
		if s.delivery.takeDirty() {
			if err := s.scanOwed(ctx); err != nil && ctx.Err() == nil {
				s.log.WarnContext(ctx, "cannot look for undelivered keying material", "error", err)
			}
		}
		for j := s.nextJob(); j != nil; j = s.nextJob() {
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				return
			}
			workers.Go(func() {
				defer func() { <-slots }()
				s.runJob(ctx, j)
			})
		}
		s.armDelivery()
		select {
		case <-s.delivery.wake:
		case <-ctx.Done():
			s.disarmDelivery()
			return
		}
	}
}

// nextJob takes the next job that is due, if it is time for one, or nil.
func (s *Service) nextJob() *job {
	d := &s.delivery
	d.mu.Lock()
	defer d.mu.Unlock()
	now := s.clock.Now()
	if len(d.queue) == 0 || d.queue[0].due.After(now) || !d.pace.take(now) {
		return nil
	}
	j := heap.Pop(&d.queue).(*job)
	j.busy = true
	return j
}

// tried says how many attempts of a job have failed.
func (d *deliveryLoop) tried(j *job) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return j.attempts
}

// armDelivery wakes the loop when the next job is due and it is time for one.
func (s *Service) armDelivery() {
	d := &s.delivery
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	if len(d.queue) > 0 {
		now := s.clock.Now()
		d.timer = s.clock.AfterFunc(max(d.queue[0].due.Sub(now), d.pace.wait(now)), func() { signal(d.wake) })
	}
}

func (s *Service) disarmDelivery() {
	s.delivery.mu.Lock()
	defer s.delivery.mu.Unlock()
	if s.delivery.timer != nil {
		s.delivery.timer.Stop()
	}
}

// scanOwed makes jobs for what the store says is owed and has no job yet.
func (s *Service) scanOwed(ctx context.Context) error {
	now := s.clock.Now()
	var owed []job
	type announce struct {
		group string
		cachedMessage
	}
	var toAll []announce
	err := s.view(func(r reader) error {
		c, err := r.counters()
		if err != nil {
			return err
		}
		nobody := c.AssocFloor == c.NextAssoc // no association is left, so nobody can be reached
		err = r.heads(func(h *head) error {
			if h.State == GroupDeleting || nobody || !s.delivery.changed(h) {
				return nil
			}
			if s.opt.Scheme.Number() != 0 {
				m, err := s.message(r, h)
				if err != nil {
					return err
				}
				toAll = append(toAll, announce{h.Name, m})
			}
			return r.members(h.Number, func(m *member) error {
				if m.has(h.Version) || m.Given == h.Version+1 || m.ControlURI == "" {
					return nil
				}
				k := memberKey{h.Number, m.Number}
				if s.progress.hasFetched(k, h.Version) {
					return nil
				}
				owed = append(owed, job{jobKey: jobKey{memberKey: k}, due: now, version: h.Version})
				return nil
			})
		})
		if err != nil {
			return err
		}
		return r.Scan(nameAllNotices(), func(n keystore.Name, b []byte) error {
			v, err := decode[notice](n, b)
			if err != nil {
				return err
			}
			if v.Assoc >= c.AssocFloor {
				owed = append(owed, job{jobKey: jobKey{memberKey{v.Group, v.Number}, true}, due: now})
			}
			return nil
		})
	})
	if err != nil {
		s.delivery.forgetScans()
		return err
	}
	for _, a := range toAll {
		if err := s.opt.Scheme.Rekeyed(ctx, a.group, a.version, a.payload()); err != nil {
			s.log.WarnContext(ctx, "a rekeying did not go to all at once; members are told one by one", "group", a.group, "error", err)
		}
	}
	s.delivery.add(owed)
	return nil
}

// forgetScans makes the next look consider every group again.
func (d *deliveryLoop) forgetScans() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seen, d.dirty = nil, true
}

// Redeliver looks for everything that is owed again, at once: for an adapter
// that has taken over the associations of before a restart.
func (s *Service) Redeliver() {
	d := &s.delivery
	now := s.clock.Now()
	d.mu.Lock()
	d.seen = nil
	for _, j := range d.jobs {
		j.attempts, j.due = 0, now
	}
	heap.Init(&d.queue)
	d.mu.Unlock()
	s.wakeDelivery()
}

// oweClient queues what is owed to a client that can be reached again; after a
// while, as it usually fetches by itself.
func (s *Service) oweClient(c uint64) error {
	var owed []job
	due := s.clock.Now().Add(s.opt.RetryFirst)
	err := s.view(func(r reader) error {
		return r.memberships(c, func(m *member) error {
			h, err := r.head(m.Group)
			if err != nil || m.has(h.Version) || m.ControlURI == "" {
				return err
			}
			owed = append(owed, job{jobKey: jobKey{memberKey: memberKey{m.Group, m.Number}}, due: due, version: h.Version})
			return nil
		})
	})
	if len(owed) > 0 {
		s.delivery.add(owed)
		signal(s.delivery.wake)
	}
	return err
}

// changed reports whether the group has a version that was not scanned for, and
// notes it.
func (d *deliveryLoop) changed(h *head) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.seen[h.Number] == h.Version+1 {
		return false
	}
	if d.seen == nil {
		d.seen = map[uint64]uint64{}
	}
	d.seen[h.Number] = h.Version + 1
	return true
}

func (d *deliveryLoop) add(owed []job) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.jobs == nil {
		d.jobs = map[jobKey]*job{}
	}
	for _, o := range owed {
		j := d.jobs[o.jobKey]
		switch {
		case j == nil:
			j = &job{jobKey: o.jobKey, due: o.due, version: o.version}
			d.jobs[o.jobKey] = j
			heap.Push(&d.queue, j)
		case o.notice || j.version >= o.version:
		default: // a newer version: at once, or when the exchange under way ends
			j.version, j.attempts, j.due = o.version, 0, o.due
			if !j.busy {
				heap.Fix(&d.queue, j.index)
			}
		}
	}
}

// runJob makes one attempt and settles what follows.
func (s *Service) runJob(ctx context.Context, j *job) {
	var done bool
	var version uint64
	attempts := s.delivery.tried(j)
	if j.notice {
		done = s.sendNotice(ctx, j, attempts)
	} else {
		done, version = s.sendRekeying(ctx, j, attempts)
	}
	if gaveUp := s.settleJob(j, done, version); gaveUp && j.notice && ctx.Err() == nil {
		s.settleNotice(ctx, j.memberKey, "member.not-notified")
	}
}

// settleJob queues the next attempt, or ends the job; it reports whether the job
// ended without success.
func (s *Service) settleJob(j *job, done bool, version uint64) (gaveUp bool) {
	d := &s.delivery
	d.mu.Lock()
	defer d.mu.Unlock()
	j.busy = false
	limit := s.opt.DeliveryAttempts
	if j.notice {
		limit = s.opt.NoticeAttempts
	}
	switch newer := !j.notice && j.version > version; {
	case newer:
		j.due = s.clock.Now()
	case done || j.attempts+1 >= limit:
		delete(d.jobs, j.jobKey)
		return !done
	default:
		j.attempts++
		j.due = s.clock.Now().Add(s.backoff(j.attempts))
	}
	heap.Push(&d.queue, j)
	signal(d.wake)
	return false
}

// firstTimeout is the time for the first attempt: two retransmissions.
const firstTimeout = 8 * time.Second

// timeout is the time for an attempt after n that failed.
func (s *Service) timeout(n int) time.Duration {
	w := firstTimeout
	for ; n > 0 && w < s.opt.DeliveryTimeout; n-- {
		w *= 2
	}
	return min(w, s.opt.DeliveryTimeout)
}

// backoff is the wait after the n-th attempt that failed.
func (s *Service) backoff(n int) time.Duration {
	w := s.opt.RetryFirst
	for ; n > 1 && w < s.opt.RetryMax; n-- {
		w *= 2
	}
	return min(w, s.opt.RetryMax)
}

// jobQueue is a heap by due time.
type jobQueue []*job

func (q jobQueue) Len() int           { return len(q) }
func (q jobQueue) Less(i, k int) bool { return q[i].due.Before(q[k].due) }
func (q jobQueue) Swap(i, k int) {
	q[i], q[k] = q[k], q[i]
	q[i].index, q[k].index = i, k
}

// Push implements heap.Interface.
func (q *jobQueue) Push(x any) {
	j := x.(*job)
	j.index = len(*q)
	*q = append(*q, j)
}

// Pop implements heap.Interface.
func (q *jobQueue) Pop() any {
	old := *q
	j := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	j.index = -1
	return j
}
