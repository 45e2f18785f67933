package manager

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/cohort-iot/cohort/internal/cborx"
	"github.com/cohort-iot/cohort/internal/clock"
	"github.com/cohort-iot/cohort/keystore"
)

// sweeper looks for work that time makes due: tokens that expire, material that
// must be replaced, rekeyings that a step of something larger left due, stale
// sets to remove.
type sweeper struct {
	wake  chan struct{}
	mu    sync.Mutex
	timer clock.Timer
	due   time.Time // when the timer ends; zero: not known, a sweep is under way

	expiring sync.Mutex // held while tokens that ended are taken off the books
}

func (s *Service) wakeSweep() { signal(s.sweeper.wake) }

// sweepBy makes sure that there is a sweep when something falls due.
func (s *Service) sweepBy(at time.Time) {
	s.sweeper.mu.Lock()
	soon := s.sweeper.due.IsZero() || at.Before(s.sweeper.due)
	s.sweeper.mu.Unlock()
	if soon {
		s.wakeSweep()
	}
}

// begin notes that a sweep is under way: what falls due from now on may be missed
// by it.
func (w *sweeper) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.due = time.Time{}
	if w.timer != nil {
		w.timer.Stop()
	}
}

// again has the next sweep begin in a while.
func (w *sweeper) again(c clock.Clock, in time.Duration, wake func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.due, w.timer = c.Now().Add(in), c.AfterFunc(in, wake)
}

func (s *Service) runSweep(ctx context.Context) {
	for {
		select {
		case <-s.sweeper.wake:
		case <-ctx.Done():
			s.sweeper.mu.Lock()
			if s.sweeper.timer != nil {
				s.sweeper.timer.Stop()
			}
			s.sweeper.mu.Unlock()
			return
		}
		s.sweeper.begin()
		next, err := s.sweep(ctx)
		if err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "a sweep of the groups failed", "error", err)
		}
		signal(s.confirms.wake) // refusals that were only counted may be due
		s.sweeper.again(s.clock, next, s.wakeSweep)
	}
}

// sweep does what is due and says when to look again.
func (s *Service) sweep(ctx context.Context) (next time.Duration, err error) {
	next = s.opt.SweepInterval
	_, kerr := s.adoptKeys(ctx)
	err = errors.Join(s.expireTokens(ctx), kerr, s.rekeyAllDue(ctx))
	verr := s.view(func(r reader) error {
		herr := r.heads(func(h *head) error {
			if at, _ := h.owedAt(); h.State != GroupDeleting {
				next = min(next, max(at.Sub(s.clock.Now()), time.Millisecond))
			}
			return nil
		})
		if herr != nil {
			return herr
		}
		return r.Scan(nameExpiries(), func(n keystore.Name, _ []byte) error {
			left := time.Unix(int64(n.ID(0)), 0).Sub(s.clock.Now())
			next = min(next, max(left, time.Second))
			return keystore.ErrStop
		})
	})
	return next, errors.Join(err, verr)
}

// rekeyAllDue rekeys groups whose material ends soon or that a step left due,
// resumes deletions and removes stale sets that no longer count.
func (s *Service) rekeyAllDue(ctx context.Context) error {
	var heads []*head
	err := s.view(func(r reader) error {
		return r.heads(func(h *head) error {
			if h.State == GroupDeleting || h.Next != nil || h.rekeyingDue(s.clock.Now()) != CauseNone || h.PrunedStale < h.OldestStale {
				heads = append(heads, h)
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	var faults []error
	for _, h := range heads {
		if h.State == GroupDeleting {
			faults = append(faults, s.finishDeletion(ctx, h.Number))
			continue
		}
		if h.Next != nil && !s.bulk.busy(h.Name) {
			faults = append(faults, s.finishConfiguration(ctx, h.Name, h.Number))
		}
		if h.rekeyingDue(s.clock.Now()) != CauseNone && !s.bulk.busy(h.Name) {
			faults = append(faults, s.rekeyIfDue(ctx, h.Name))
		}
		faults = append(faults, s.pruneStale(ctx, h.Number))
	}
	return errors.Join(faults...)
}

func (s *Service) rekeyIfDue(ctx context.Context, group string) error {
	return s.update(ctx, func(t *txn) error {
		h, err := t.group(group)
		if err != nil {
			return err
		}
		c := h.rekeyingDue(t.now)
		if c == CauseNone || h.State == GroupDeleting {
			return nil
		}
		if err := t.rekey(h, c); err != nil {
			return err
		}
		return t.putHead(h)
	})
}

// expiryBatch is how many expired tokens are taken up together, so that the
// members they concern leave each group with one rekeying.
const expiryBatch = 256

// expireTokens ends tokens whose time is over: memberships that no other token of
// the client covers are evicted, then the tokens and their associations go. The
// entry in the list of expiries is the intent; it goes last, and stays for the
// next sweep if an effect of it failed. Such a failure holds up no other client.
func (s *Service) expireTokens(ctx context.Context) error {
	s.sweeper.expiring.Lock()
	defer s.sweeper.expiring.Unlock()
	var faults []error
	failed := map[uint64]bool{} // clients
	for {
		due, err := s.expired(failed)
		if err != nil || len(due) == 0 {
			return errors.Join(append(faults, err)...)
		}
		for _, cause := range []Cause{CauseTokenRevoked, CauseTokenExpired} { // who is out is not uncovered again
			of := slices.DeleteFunc(slices.Clone(due), func(d dueToken) bool { return d.cause != cause || failed[d.client] })
			if _, err := s.evictUncovered(ctx, of, cause, failed); err != nil {
				faults = append(faults, err)
			}
		}
		for _, e := range due {
			if failed[e.client] {
				continue
			}
			if err := s.forgetToken(ctx, e); err != nil {
				failed[e.client] = true
				faults = append(faults, err)
			}
		}
		if KindOf(errors.Join(faults...)) == KindUnavailable { // nor would the next ones succeed
			return errors.Join(faults...)
		}
	}
}

// dueToken is an entry of the list of expiries.
type dueToken struct {
	name   keystore.Name
	token  uint64
	client uint64
	cause  Cause // of the evictions that it leads to
}

// expired reads the first entries that are due, but those of some clients.
func (s *Service) expired(but map[uint64]bool) ([]dueToken, error) {
	now := s.clock.Now().Unix()
	var out []dueToken
	err := s.view(func(r reader) error {
		return r.Scan(nameExpiries(), func(n keystore.Name, b []byte) error {
			if int64(n.ID(0)) > now || len(out) == expiryBatch {
				return keystore.ErrStop
			}
			var c uint64
			if err := cborx.Unmarshal(b, &c); err != nil {
				return err
			}
			if but[c] {
				return nil
			}
			d := dueToken{name: n, token: n.ID(1), client: c, cause: CauseTokenExpired}
			// A record that cannot be read fails the eviction.
			if cl, err := load[client](r, nameClient(c)); err == nil && cl.wasRevoked(d.token, s.clock.Now()) {
				d.cause = CauseTokenRevoked
			}
			out = append(out, d)
			return nil
		})
	})
	return out, err
}

// evictUncovered evicts the memberships of clients that none of their valid
// tokens covers, group by group. What fails in one group holds up no other one;
// the clients that it concerns are noted in failed, which may be nil.
func (s *Service) evictUncovered(ctx context.Context, due []dueToken, cause Cause, failed map[uint64]bool) (evicted int, err error) {
	nodes, clients := map[string][]string{}, map[string][]uint64{}
	var order []string
	var faults []error
	fails := func(err error, of ...uint64) {
		faults = append(faults, err)
		for _, c := range of {
			if failed != nil {
				failed[c] = true
			}
		}
	}
	err = s.view(func(r reader) error {
		seen := map[uint64]bool{}
		for _, d := range due {
			if seen[d.client] {
				continue
			}
			seen[d.client] = true
			if err := r.uncovered(d.client, s.clock.Now(), func(group, node string) {
				if nodes[group] == nil {
					order = append(order, group)
				}
				nodes[group], clients[group] = append(nodes[group], node), append(clients[group], d.client)
			}); err != nil {
				fails(s.failed(err), d.client)
			}
		}
		return nil
	})
	if err != nil {
		for _, d := range due {
			fails(nil, d.client)
		}
		return 0, err
	}
	for _, group := range order {
		n, err := s.evictNodes(ctx, group, nodes[group], cause)
		evicted += n
		if err != nil && KindOf(err) != KindNotFound {
			fails(fmt.Errorf("group %q: %w", group, err), clients[group]...)
		}
	}
	return evicted, errors.Join(faults...)
}

func (s *Service) evictNodes(ctx context.Context, group string, nodes []string, cause Cause) (int, error) {
	if len(nodes) == 1 {
		if _, err := s.Evict(ctx, group, nodes[0], cause); err != nil {
			return 0, err
		}
		return 1, nil
	}
	return s.EvictMany(ctx, group, nodes, cause)
}

// uncovered calls f for each membership of a client whose roles no valid token grants.
func (r reader) uncovered(c uint64, now time.Time, f func(group, node string)) error {
	cl, err := load[client](r, nameClient(c))
	if err != nil {
		return ignoreNotFound(err)
	}
	return r.memberships(c, func(m *member) error {
		h, err := r.head(m.Group)
		if err != nil {
			return ignoreNotFound(err)
		}
		if cl.covering(h.Name, m.Roles, now, 0) == nil {
			f(h.Name, nodeName(m.Number))
		}
		return nil
	})
}

// forgetToken takes an expired token off the books, with its association.
func (s *Service) forgetToken(ctx context.Context, d dueToken) error {
	return s.update(ctx, func(t *txn) error {
		if err := t.delete(d.name); err != nil {
			return err
		}
		cl, err := load[client](t.reader, nameClient(d.client))
		if err != nil {
			return ignoreNotFound(err)
		}
		e := cl.byID(d.token)
		if e == nil || (!e.expired(t.now) && e.Expires != int64(d.name.ID(0))) {
			return nil // replaced meanwhile; the newer entry stands
		}
		t.audit(AuditEvent{Event: "token.expired", Client: cl.label()})
		if err := t.dropAssociation(e.Assoc); err != nil {
			return err
		}
		return t.dropToken(cl, d.token)
	})
}
