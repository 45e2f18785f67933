package manager

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Refusals of devices that are known go into the audit log, so that an operator
// sees a device that tries what it may not. They are collected and written
// together, and one that repeats is counted: a device cannot fill the log.

// refusalKey is what counts as the same refusal.
type refusalKey struct {
	client uint64
	group  string
	doing  string
	kind   Kind
}

// maxRefusals bounds the refusals remembered; further ones are only measured.
const maxRefusals = 1024

// refusalPause is for how long a refusal that was written is only counted.
const refusalPause = time.Minute

// refusalBatch is how many refusals go into one transaction.
const refusalBatch = 32

type refusalLog struct {
	mu sync.Mutex
	m  map[refusalKey]*refusalEntry
}

type refusalEntry struct {
	count  int
	detail string
	quiet  time.Time // until then only counted
}

// refused measures a refusal and notes it for the audit log; it returns err. A
// fault of the Group Manager itself is none.
func (s *Service) refused(c Caller, group, doing string, err error) error {
	if err == nil {
		return nil
	}
	k := KindOf(err)
	s.meter.Refused(k)
	if k == KindInternal || k == KindUnavailable || c.Client == 0 {
		return err
	}
	l := &s.refusals
	key := refusalKey{c.Client, group, doing, k}
	now := s.clock.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.m[key]
	if e == nil {
		if len(l.m) >= maxRefusals {
			return err
		}
		if l.m == nil {
			l.m = map[refusalKey]*refusalEntry{}
		}
		e = &refusalEntry{}
		l.m[key] = e
	}
	e.count++
	e.detail = err.Error()
	if !now.Before(e.quiet) {
		signal(s.confirms.wake)
	}
	return err
}

// take removes refusals that are to be written now, and forgets those that have
// been quiet.
func (l *refusalLog) take(now time.Time, all bool) map[refusalKey]refusalEntry {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := map[refusalKey]refusalEntry{}
	for k, e := range l.m {
		if now.Before(e.quiet) && !all {
			continue
		}
		if e.count == 0 {
			delete(l.m, k)
			continue
		}
		if len(out) < refusalBatch {
			out[k] = *e
			e.count, e.quiet = 0, now.Add(refusalPause)
		}
	}
	return out
}

// flushRefusals writes what is due.
func (s *Service) flushRefusals(ctx context.Context) { s.writeRefusals(ctx, false) }

func (s *Service) writeRefusals(ctx context.Context, all bool) {
	for {
		batch := s.refusals.take(s.clock.Now(), all)
		if len(batch) == 0 {
			return
		}
		err := s.update(ctx, func(t *txn) error {
			for k, e := range batch {
				label := fmt.Sprint(k.client)
				if cl, err := load[client](t.reader, nameClient(k.client)); err == nil {
					label = cl.label()
				}
				t.audit(AuditEvent{Event: "request.refused", Group: k.group, Client: label, Cause: k.kind.String(), Count: e.count, Detail: k.doing + ": " + e.detail})
			}
			return nil
		})
		if err != nil {
			s.log.WarnContext(ctx, "refusals are not written to the audit log", "error", err)
			return
		}
	}
}
