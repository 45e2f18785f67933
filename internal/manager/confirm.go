package manager

import (
	"context"
	"sync"
)

// confirmBatch is how many confirmations go into one transaction.
const confirmBatch = 48

// confirmQueue collects confirmations until they are written together. A
// confirmation that is lost in a crash is made again by the next exchange.
type confirmQueue struct {
	mu   sync.Mutex
	m    map[memberKey]uint64
	wake chan struct{}
}

// confirm notes that a member has shown to hold a version.
func (s *Service) confirm(k memberKey, version uint64) {
	q := &s.confirms
	q.mu.Lock()
	if q.m == nil {
		q.m = map[memberKey]uint64{}
	}
	if v, ok := q.m[k]; !ok || v < version {
		q.m[k] = version
	}
	q.mu.Unlock()
	signal(q.wake)
}

// has reports whether it was noted, and not yet written, that a member holds a version.
func (q *confirmQueue) has(k memberKey, version uint64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	v, ok := q.m[k]
	return ok && v >= version
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// take removes at most n entries of one group.
func (q *confirmQueue) take(n int) (group uint64, out map[memberKey]uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	out = map[memberKey]uint64{}
	for k, v := range q.m {
		if len(out) == 0 {
			group = k.group
		}
		if k.group != group {
			continue
		}
		out[k] = v
		delete(q.m, k)
		if len(out) == n {
			break
		}
	}
	return group, out
}

// runConfirms writes confirmations and refusals until ctx ends.
func (s *Service) runConfirms(ctx context.Context) {
	for {
		select {
		case <-s.confirms.wake:
			s.flushConfirms(ctx)
			s.flushRefusals(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// flushConfirms writes all confirmations noted so far.
func (s *Service) flushConfirms(ctx context.Context) {
	for {
		g, batch := s.confirms.take(confirmBatch)
		if len(batch) == 0 {
			return
		}
		if err := s.writeConfirms(ctx, g, batch); err != nil {
			s.log.WarnContext(ctx, "confirmations of keying material are not written; they will be asked for again", "error", err)
		}
	}
}

func (s *Service) writeConfirms(ctx context.Context, g uint64, batch map[memberKey]uint64) error {
	return s.update(ctx, func(t *txn) error {
		h, err := t.head(g)
		if err != nil {
			return ignoreNotFound(err)
		}
		e := AuditEvent{Event: "rekeying.confirmed", Group: h.Name, Version: &h.Version}
		for k, v := range batch {
			m, err := load[member](t.reader, nameMember(g, k.member))
			if ignoreNotFound(err) != nil {
				return err
			}
			if m == nil || m.has(v) {
				continue
			}
			m.Confirmed = v + 1
			if v == h.Version {
				e.Nodes = append(e.Nodes, nodeName(m.Number))
			}
			if err := t.putMember(m); err != nil {
				return err
			}
			t.after(func() {
				if v == h.Version {
					s.progress.forget(k)
				}
			})
		}
		if len(e.Nodes) > 0 {
			t.audit(e)
		}
		return nil
	})
}
