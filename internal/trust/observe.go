package trust

import (
	"context"
	"iter"
	"time"

	"github.com/cohort-iot/cohort/ace/trl"
	"github.com/cohort-iot/cohort/keystore"
)

// Watcher observes the list of revoked tokens of an Authorization Server (RFC 9770, Sections 6.3 and 11; RFC 7641), under the
// association with it. It yields what the list is now, then each notification, until ctx ends, the caller stops, or the observation
// ends; the error with which it does is the last thing it yields. Other errors say that there is no news.
type Watcher interface {
	Watch(ctx context.Context, issuer string, q trl.Query) iter.Seq2[*trl.Response, error]
}

// Waits between two registrations of an observation that does not come about or does not last.
const (
	firstRetry = time.Second
	lastRetry  = 5 * time.Minute
)

// watchAll sees to it that each list is observed once, and those of Authorization Servers that were removed no longer.
func (s *Service) watchAll(ctx context.Context) error {
	if s.cfg.Watcher == nil {
		return nil
	}
	all, err := s.all()
	if err != nil {
		return err
	}
	wanted := make(map[uint64]bool)
	for _, as := range all {
		if as.ListPath == "" {
			continue
		}
		wanted[as.Number] = true
		if s.watches[as.Number] == nil {
			watching, stop := context.WithCancel(ctx)
			s.watches[as.Number] = stop
			s.watching.Go(func() { s.watch(watching, as.Number) })
		}
	}
	for n, stop := range s.watches {
		if !wanted[n] {
			stop()
			delete(s.watches, n)
		}
	}
	return nil
}

// watch observes the list of Authorization Server n until ctx ends. An observation that ends, as when the Authorization Server
// starts anew, is registered again; polling goes on besides.
func (s *Service) watch(ctx context.Context, n uint64) {
	for wait := firstRetry; ctx.Err() == nil; wait = min(2*wait, lastRetry) {
		var as *asRecord
		err := s.store.View(func(r keystore.Reader) (err error) {
			as, err = load[asRecord](r, nameAS(n)) // it may have other keys by now
			return err
		})
		if err == nil && as.ListPath != "" && s.observe(ctx, as) {
			wait = firstRetry
		}
		s.pause(ctx, wait)
	}
}

// observe registers once and takes in what is notified, until the observation ends. It reports whether anything was heard.
func (s *Service) observe(ctx context.Context, as *asRecord) (heard bool) {
	f := s.follower(as)
	q := trl.Query{Diff: f.Diff}
	if f.Cursor {
		q.N = uint64(as.Batch) // the newest updates: a notification has room for no more
	}
	for resp, err := range s.cfg.Watcher.Watch(ctx, as.Issuer, q) {
		if ctx.Err() != nil {
			return heard
		}
		if err != nil {
			if heard {
				s.cfg.Report(as.Issuer, err)
			}
			continue
		}
		heard = true
		s.mu.Lock()
		news, again := f.Notified(resp)
		s.mu.Unlock()
		if err := s.learn(ctx, as.Issuer, news, 0); err != nil {
			s.cfg.Report(as.Issuer, err)
			again = true
			s.lost(f)
		}
		if again {
			if err := s.poll(ctx, as); err != nil {
				s.cfg.Report(as.Issuer, err)
			}
		}
	}
	return heard
}

// pause waits, unless ctx ends.
func (s *Service) pause(ctx context.Context, d time.Duration) {
	over, cancel := context.WithCancel(ctx)
	defer cancel()
	defer s.cfg.Clock.AfterFunc(d, cancel).Stop()
	<-over.Done()
}
