package manager

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/cohort-iot/cohort/keystore"
)

// ready refuses until Start has returned, and after Stop.
func (s *Service) ready() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != serviceRunning {
		return refuse(KindUnavailable, "the Group Manager is not running")
	}
	return nil
}

// Start makes the state of the store fit to be served, then starts the delivery
// loop, the sweep and the writer of confirmations. Unless told otherwise, no
// group keeps its keying material over a restart (RFC 9594, Section 10.2): what
// the store holds may be older than what devices were given. It may be called once.
func (s *Service) Start(ctx context.Context) error {
	s.mu.Lock()
	if s.state != serviceNew {
		s.mu.Unlock()
		return refuse(KindConflict, "the Group Manager was started before")
	}
	s.state = serviceStarting
	s.mu.Unlock()
	if err := s.prepare(ctx); err != nil {
		s.mu.Lock()
		s.state = serviceStopped
		s.mu.Unlock()
		return fmt.Errorf("start: %w", err)
	}
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.mu.Lock()
	s.state, s.stop = serviceRunning, stop
	s.mu.Unlock()
	for _, loop := range []func(context.Context){s.runDelivery, s.runConfirms, s.runSweep} {
		s.running.Go(func() { loop(run) })
	}
	s.wakeDelivery()
	s.wakeSweep()
	return nil
}

// Stop ends the loops, waits for exchanges under way and writes what they
// confirmed. The store stays open.
func (s *Service) Stop() {
	s.mu.Lock()
	stop := s.stop
	s.state = serviceStopped
	s.mu.Unlock()
	if stop != nil {
		stop()
	}
	s.running.Wait()
	if stop != nil {
		s.flushConfirms(context.Background())
		s.writeRefusals(context.Background(), true)
	}
}

func (s *Service) prepare(ctx context.Context) error {
	fresh, err := s.initialise(ctx)
	if err != nil || fresh {
		return err
	}
	var heads []*head
	err = s.view(func(r reader) error {
		return r.heads(func(h *head) error {
			heads = append(heads, h)
			return nil
		})
	})
	if err != nil {
		return err
	}
	cause := s.opt.restartCause()
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(startWorkers)
	for _, h := range heads {
		g.Go(func() error {
			if h.State == GroupDeleting {
				return s.finishDeletion(gctx, h.Number)
			}
			if h.Next != nil { // ends with a rekeying
				return s.finishConfiguration(gctx, h.Name, h.Number)
			}
			c := cause
			if c == CauseNone {
				c = h.Due
			}
			if c == CauseNone {
				return nil
			}
			_, err := s.Rekey(gctx, h.Name, c)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if _, err := s.adoptKeys(ctx); err != nil {
		return err
	}
	// Now nothing that the store was in doubt about is in use any more.
	return s.update(ctx, func(t *txn) error {
		if cause != CauseNone && (s.opt.Restored || !s.opt.KeepAssociations) {
			t.tx.Settle()
		}
		return nil
	})
}

// restartCause says why every group is rekeyed at a start; CauseNone: it is not.
// Keeping the material takes a store that is shown to be the newest.
func (o Options) restartCause() Cause {
	switch {
	case o.Restored:
		return CauseRestore
	case o.OnRestart == RestartKeep && o.KeepAssociations,
		o.OnRestart == RestartRekeyIfUnclean && o.KeepAssociations && o.Clean:
		return CauseNone
	}
	return CauseRestart
}

// startWorkers is how many groups are made ready at once, so that their commits
// go to the disk together.
const startWorkers = 32

// initialise makes the manager's own record, or takes an old one over. It
// reports whether the store is new.
func (s *Service) initialise(ctx context.Context) (fresh bool, err error) {
	err = s.update(ctx, func(t *txn) error {
		c, err := load[counters](t.reader, nameManager())
		if errors.Is(err, keystore.ErrNotFound) {
			fresh = true
			t.audit(AuditEvent{Event: "manager.created"})
			return t.putCounters(&counters{
				Schema: recordSchema, NextGroup: 1, NextClient: 1, NextToken: 1, NextAssoc: 1, NextGid: 1, AssocFloor: 1,
				GidPrefix: append([]byte{}, s.opt.GidPrefix...),
			})
		}
		if err != nil {
			return err
		}
		if len(s.opt.GidPrefix) > 0 && !bytes.Equal(s.opt.GidPrefix, c.GidPrefix) {
			return refuse(KindConfiguration, "the Gid prefix of this store is %x and cannot be changed", c.GidPrefix)
		}
		detail := "associations kept"
		if s.opt.Restored {
			c.bump()
		}
		if s.opt.Restored || !s.opt.KeepAssociations {
			c.AssocFloor = c.NextAssoc
			detail = "associations dropped"
		}
		t.audit(AuditEvent{Event: "manager.started", Detail: detail})
		return t.putCounters(c)
	})
	return fresh, err
}
