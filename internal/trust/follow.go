package trust

import (
	"context"
	"errors"
	"sync"

	"github.com/cohort-iot/cohort/ace/trl"
)

// following is the state of following one list. The Follower is guarded by Service.mu.
type following struct {
	trl.Follower
	asking sync.Mutex // held by the one that polls: of two answers at once the older could be taken in last
}

// maxRounds bounds the queries of one poll that says that there is more.
const maxRounds = 64

// Poll asks every Authorization Server that has a list of revoked tokens for it, and takes in the answers. No answer, or an error,
// says nothing about any token.
func (s *Service) Poll(ctx context.Context) error {
	if s.cfg.Source == nil {
		return nil
	}
	all, err := s.all()
	if err != nil {
		return err
	}
	var faults []error
	for _, as := range all {
		if as.ListPath == "" {
			continue
		}
		if err := s.poll(ctx, as); err != nil {
			s.cfg.Report(as.Issuer, err)
			faults = append(faults, err)
		}
	}
	return errors.Join(faults...)
}

func (s *Service) poll(ctx context.Context, as *asRecord) error {
	f := s.follower(as)
	f.asking.Lock()
	defer f.asking.Unlock()
	for range maxRounds {
		s.mu.Lock()
		q := f.Next()
		known := s.newest
		s.mu.Unlock()
		asking, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
		resp, err := s.cfg.Source.Query(asking, as.Issuer, q)
		cancel()
		var problem *trl.Problem
		if errors.As(err, &problem) {
			s.lost(f)
		}
		if err != nil {
			return err
		}
		s.mu.Lock()
		news, again := f.Answered(resp)
		s.mu.Unlock()
		if err := s.learn(ctx, as.Issuer, news, known); err != nil {
			s.lost(f) // ask for everything again, as some of it was not taken in
			return err
		}
		if !again {
			return nil
		}
	}
	return nil
}

// lost has everything asked for again.
func (s *Service) lost(f *following) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.Lost()
}

func (s *Service) follower(as *asRecord) *following {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.follow[as.Issuer]
	if f == nil {
		f = &following{Follower: trl.Follower{Diff: as.MaxN > 0, Cursor: as.Batch > 0, FullEvery: s.cfg.FullEvery}}
		s.follow[as.Issuer] = f
	}
	return f
}

// forget begins to follow the list of an Authorization Server from the start.
func (s *Service) forget(issuer string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.follow, issuer)
}

// rouse has everybody asked at once.
func (s *Service) rouse() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Run follows the lists, writes down the time and the tokens with exi, and forgets what is not needed any more, until ctx ends. A
// last time everything is written then. It runs once at a time.
//
// Each list is observed and polled: notifications get lost, or are suppressed by an attacker (RFC 9770, Section 14.3).
func (s *Service) Run(ctx context.Context) {
	s.watches = make(map[uint64]context.CancelFunc)
	defer s.watching.Wait()
	for {
		if err := s.turn(ctx); err != nil && ctx.Err() == nil {
			s.cfg.Report("", err)
		}
		s.await(ctx)
		if ctx.Err() != nil {
			_ = s.save(context.WithoutCancel(ctx))
			return
		}
	}
}

// await waits for the next turn and reviews meanwhile, if something of a token that was seen is owed.
func (s *Service) await(ctx context.Context) {
	due := make(chan struct{})
	defer s.cfg.Clock.AfterFunc(s.cfg.Interval, func() { close(due) }).Stop()
	for {
		select {
		case <-s.owed:
			if err := s.Review(ctx); err != nil && ctx.Err() == nil {
				s.cfg.Report("", err)
			}
		case <-due:
			return
		case <-s.wake:
			return
		case <-ctx.Done():
			return
		}
	}
}

func (s *Service) turn(ctx context.Context) error {
	_ = s.Poll(ctx) // told by Report already
	return errors.Join(s.watchAll(ctx), s.Review(ctx), s.save(ctx))
}

func (s *Service) save(ctx context.Context) error {
	var err error
	if t := s.exiTable(); t != nil {
		err = t.Save(ctx)
	}
	return errors.Join(err, s.SaveMark(ctx))
}
