package oscore

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"
)

func TestSequence(t *testing.T) {
	ctx := context.Background()
	t.Run("nothing without a reservation", func(t *testing.T) {
		s := NewSequence(0)
		_, err := s.Next()
		wantErr(t, err, ErrSequenceNotReserved)
		equal(t, s.NeedsReserve(), true)
	})
	t.Run("OS-B.1.1-1 a block is stored before it is used", func(t *testing.T) {
		st, s := new(memoryStore), NewSequence(0)
		if err := s.Reserve(ctx, st, 10); err != nil {
			t.Fatal(err)
		}
		for want := range uint64(10) {
			n, err := s.Next()
			if err != nil || n != want || n >= st.mark {
				t.Fatalf("%d %v, mark %d", n, err, st.mark)
			}
		}
		_, err := s.Next()
		wantErr(t, err, ErrSequenceNotReserved)
	})
	t.Run("OS-B.1.1-2,OS-7.5-1 after a restart every number is new", func(t *testing.T) {
		st := new(memoryStore)
		var last uint64
		for range 3 {
			s := NewSequence(st.mark)
			if err := s.Reserve(ctx, st, 10); err != nil {
				t.Fatal(err)
			}
			for range 4 {
				n, err := s.Next()
				if err != nil || last != 0 && n <= last {
					t.Fatalf("%d after %d, %v", n, last, err)
				}
				last = n
			}
		}
	})
	t.Run("OS-B.1.1-2 a store that fails gives no numbers", func(t *testing.T) {
		broken := errors.New("disk full")
		s := NewSequence(5)
		wantErr(t, s.Reserve(ctx, &memoryStore{err: broken}, 10), broken)
		_, err := s.Next()
		wantErr(t, err, ErrSequenceNotReserved)
		st := new(memoryStore)
		if err := s.Reserve(ctx, st, 10); err != nil {
			t.Fatal(err)
		}
		equal(t, st.mark, uint64(15))
	})
	t.Run("topped up at half a block", func(t *testing.T) {
		s := NewSequence(0)
		if err := s.Reserve(ctx, new(memoryStore), 10); err != nil {
			t.Fatal(err)
		}
		for i := range 10 {
			equal(t, s.NeedsReserve(), i > 4)
			if _, err := s.Next(); err != nil {
				t.Fatal(err)
			}
		}
	})
	t.Run("OS-7.2.1-1 the last number is 2^40-1", func(t *testing.T) {
		st, s := new(memoryStore), NewSequence(1<<40-2)
		if err := s.Reserve(ctx, st, 1000); err != nil {
			t.Fatal(err)
		}
		equal(t, st.mark, uint64(1<<40))
		equal(t, s.NeedsReserve(), false)
		for _, want := range []uint64{1<<40 - 2, 1<<40 - 1} {
			equal(t, s.Remaining(), 1<<40-want)
			equal(t, must(s.Next())(t), want)
		}
		for range 3 {
			_, err := s.Next()
			wantErr(t, err, ErrSequenceExhausted)
		}
		equal(t, s.Exhausted(), true)
		equal(t, s.Remaining(), uint64(0))
		wantErr(t, s.Reserve(ctx, st, 1), ErrSequenceExhausted)
	})
	t.Run("OS-7.2.1-1,OS-7.2.1-2 a lower limit", func(t *testing.T) {
		s := NewEphemeralSequence()
		s.SetLimit(1)
		s.SetLimit(100)
		equal(t, s.Remaining(), uint64(2))
		equal(t, must(s.Next())(t), uint64(0))
		equal(t, must(s.Next())(t), uint64(1))
		_, err := s.Next()
		wantErr(t, err, ErrSequenceExhausted)
	})
	t.Run("a start beyond the space", func(t *testing.T) {
		s := NewSequence(1 << 40)
		_, err := s.Next()
		wantErr(t, err, ErrSequenceExhausted)
		equal(t, s.NeedsReserve(), false)
	})
	t.Run("an empty block", func(t *testing.T) {
		wantErr(t, NewSequence(0).Reserve(ctx, new(memoryStore), 0), ErrParams)
	})
	t.Run("OS-7.2-2 no number twice for those who ask at the same time", func(t *testing.T) {
		const workers, each = 4, 1_000_000 // long enough to meet on a busy machine
		s := NewEphemeralSequence()
		var sum atomic.Uint64
		var wg sync.WaitGroup
		for range workers {
			wg.Go(func() {
				var own, last uint64
				for i := range each {
					n, err := s.Next()
					if err != nil || i > 0 && n <= last {
						t.Errorf("%d after %d, %v", n, last, err)
						return
					}
					own, last = own+n, n
				}
				sum.Add(own)
			})
		}
		wg.Wait()
		// Each of 0 to total-1 once, or else some of them twice.
		const total = workers * each
		equal(t, []uint64{sum.Load(), s.next.Load()}, []uint64{total * (total - 1) / 2, total})
	})
	t.Run("OS-7.2-2 no number twice while blocks are reserved", func(t *testing.T) {
		const workers, each = 8, 500
		s, st := NewSequence(0), new(memoryStore)
		var mu sync.Mutex
		seen := make(map[uint64]bool)
		var wg sync.WaitGroup
		for range workers {
			wg.Go(func() {
				for range each {
					n, err := s.Next()
					for errors.Is(err, ErrSequenceNotReserved) {
						if err = s.Reserve(ctx, st, 16); err == nil {
							n, err = s.Next()
						}
					}
					mu.Lock()
					if err != nil || seen[n] {
						t.Errorf("%d %v", n, err)
					}
					seen[n] = true
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		equal(t, len(seen), workers*each)
	})
}

// TestSequenceModel crashes and restarts a sequence at random.
func TestSequenceModel(t *testing.T) {
	t.Run("OS-B.1.1-2,OS-7.2-1 no number twice over crashes", rapid.MakeCheck(func(t *rapid.T) {
		st := new(memoryStore)
		s := NewSequence(0)
		used := make(map[uint64]bool)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 4).Draw(t, "step") {
			case 0: // crash
				s = NewSequence(st.mark)
			case 1:
				if err := s.Reserve(context.Background(), st, rapid.Uint64Range(1, 9).Draw(t, "block")); err != nil {
					t.Fatal(err)
				}
			case 2: // the write became durable, its answer got lost
				lost := &memoryStore{err: errors.New("lost")}
				_ = s.Reserve(context.Background(), lost, 3)
				st.mark = max(st.mark, s.high.Load()+3)
			default:
				n, err := s.Next()
				if errors.Is(err, ErrSequenceNotReserved) {
					continue
				}
				if err != nil || used[n] || n >= st.mark {
					t.Fatalf("%d %v, mark %d", n, err, st.mark)
				}
				used[n] = true
			}
		}
	}))
}
