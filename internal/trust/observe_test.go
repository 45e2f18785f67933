package trust

import (
	"context"
	"errors"
	"iter"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/ace/trl"
)

// notifier is a Watcher for tests: what is sent to it is yielded.
type notifier struct {
	began chan string // registrations, by their query
	out   chan notice
	open  atomic.Int32 // observations
}

// notice is one thing to yield; end ends the observation with it.
type notice struct {
	resp *trl.Response
	err  error
}

func (n *notifier) Watch(ctx context.Context, issuer string, q trl.Query) iter.Seq2[*trl.Response, error] {
	return func(yield func(*trl.Response, error) bool) {
		n.open.Add(1)
		defer n.open.Add(-1)
		n.began <- issuer + "?" + strings.Join(q.Strings(), "&")
		for {
			select {
			case v := <-n.out:
				if !yield(v.resp, v.err) || v.err != nil {
					return
				}
			case <-ctx.Done():
				yield(nil, ctx.Err())
				return
			}
		}
	}
}

// watched runs a Service that observes one list, under fake time.
func watched(t *testing.T, f func(t *testing.T, b *bench, n *notifier)) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		n := &notifier{began: make(chan string, 8), out: make(chan notice)}
		b.cfg.Watcher = n
		ctx, cancel := context.WithCancel(t.Context())
		over := make(chan struct{})
		go func() {
			defer close(over)
			b.Run(ctx)
		}()
		synctest.Wait()
		f(t, b, n)
		cancel()
		<-over
		if n.open.Load() != 0 {
			t.Fatal("an observation outlives Run")
		}
	})
}

// notify sends the newest updates, as the observation of n updates gets them.
func (b *bench) notify(t *testing.T, n *notifier, query ...string) {
	t.Helper()
	n.out <- notice{resp: must(trl.Answer(b.lists.support, query, b.lists))}
	synctest.Wait()
}

func TestObservation(t *testing.T) {
	t.Parallel()
	t.Run("TR-RS-01,TR-RS-03 a notification ends the token at once, without a query", func(t *testing.T) {
		t.Parallel()
		watched(t, func(t *testing.T, b *bench, n *notifier) {
			if q := <-n.began; q != "as?diff=4" {
				t.Fatal(q)
			}
			asked := len(b.lists.queries)
			for i := range byte(3) {
				b.lists.add(hash(i))
				b.notify(t, n, "diff=4")
				if !b.Revoked(hash(i)) || len(b.effect.list) != int(i)+1 {
					t.Fatal("not ended", i)
				}
			}
			if got := b.lists.queries[asked:]; len(got) != 0 {
				t.Fatalf("queries %q", got)
			}
		})
	})
	t.Run("TR-RS-09 after lost notifications the rest is asked for at once, after the update known last", func(t *testing.T) {
		t.Parallel()
		watched(t, func(t *testing.T, b *bench, n *notifier) {
			<-n.began
			b.lists.add(hash(0))
			b.notify(t, n, "diff=4")
			for i := range byte(6) {
				b.lists.add(hash(1 + i))
			}
			asked := len(b.lists.queries)
			b.notify(t, n, "diff=4")
			if len(b.effect.list) != 7 {
				t.Fatalf("%d tokens ended", len(b.effect.list))
			}
			if got := b.lists.queries[asked:]; len(got) != 2 || got[0] != "diff=0&cursor=0" || got[1] != "diff=0&cursor=4" {
				t.Fatalf("queries %q", got)
			}
		})
	})
	t.Run("an observation that ends is registered again, ever more rarely while nothing is heard", func(t *testing.T) {
		t.Parallel()
		watched(t, func(t *testing.T, b *bench, n *notifier) {
			<-n.began
			lost := errors.New("lost")
			var waits []time.Duration
			for range 12 {
				n.out <- notice{err: lost}
				synctest.Wait()
				at := b.clock.Now()
				for len(n.began) == 0 {
					b.clock.Advance(time.Second)
					synctest.Wait()
				}
				<-n.began
				waits = append(waits, b.clock.Now().Sub(at))
			}
			if waits[0] != time.Second || waits[1] != 2*time.Second || waits[11] != lastRetry {
				t.Fatal(waits)
			}
			b.notify(t, n, "diff=4")
			n.out <- notice{err: lost}
			synctest.Wait()
			b.clock.Advance(time.Second)
			synctest.Wait()
			if len(n.began) != 1 {
				t.Fatal("after it was heard it waits as long as before")
			}
		})
	})
	t.Run("who is trusted no longer is not observed any more, and who is trusted anew is", func(t *testing.T) {
		t.Parallel()
		watched(t, func(t *testing.T, b *bench, n *notifier) {
			<-n.began
			if err := b.Remove(t.Context(), "as"); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if n.open.Load() != 0 {
				t.Fatal("still observed")
			}
			full := enrolment("plain")
			full.TRL.MaxN, full.TRL.MaxDiffBatch = 0, 0
			if err := b.Add(t.Context(), full); err != nil {
				t.Fatal(err)
			}
			if q := <-n.began; q != "plain?" {
				t.Fatal(q)
			}
			b.lists.add(hash(7))
			b.notify(t, n)
			if !b.Revoked(hash(7)) {
				t.Fatal("a notification of everything is not taken in")
			}
		})
	})
	t.Run("TR-RS-02,TR-RS-05 an answer that was made before a notification came ends no hash by its silence", func(t *testing.T) {
		t.Parallel()
		watched(t, func(t *testing.T, b *bench, n *notifier) {
			<-n.began
			b.Seen(ace.SeenToken{Hash: hash(1), Issuer: "as"})
			b.lists.support = trl.Support{}
			b.lists.late = func() {
				b.lists.late = nil
				b.lists.add(hash(1))
				b.notify(t, n) // while the answer is on its way
			}
			b.forget("as")
			b.polls(t)
			if !b.Revoked(hash(1)) {
				t.Fatal("forgotten")
			}
		})
	})
}
