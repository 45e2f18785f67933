package replay

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestWindow(t *testing.T) {
	t.Parallel()
	accept := func(t *testing.T, w *Window, want error, seqs ...uint64) {
		t.Helper()
		for _, s := range seqs {
			check, acc := w.Check(s), w.Accept(s)
			if !errors.Is(check, want) || !errors.Is(acc, want) {
				t.Errorf("%d: Check %v, Accept %v, want %v", s, check, acc, want)
			}
		}
	}
	t.Run("OS-3.2-5 default size is 32", func(t *testing.T) {
		w := New(0)
		if w.Size() != 32 {
			t.Fatalf("size %d", w.Size())
		}
		accept(t, w, nil, 100, 69)
		accept(t, w, ErrReplay, 68)
	})
	t.Run("OS-7.4-4 below the lower edge is refused", func(t *testing.T) {
		w := New(8)
		accept(t, w, nil, 10, 3)
		accept(t, w, ErrReplay, 2, 1, 0)
		accept(t, w, nil, 4, 5, 11)
		accept(t, w, ErrReplay, 3)
	})
	t.Run("a number is accepted once", func(t *testing.T) {
		w := New(32)
		accept(t, w, nil, 0, 5, 3, 4, 1)
		accept(t, w, ErrReplay, 0, 5, 3, 4, 1)
		accept(t, w, nil, 2, 6)
	})
	t.Run("Check changes nothing", func(t *testing.T) {
		w := New(32)
		for range 3 {
			if err := w.Check(1000); err != nil {
				t.Fatal(err)
			}
		}
		if _, ok := w.Highest(); ok {
			t.Error("Check moved the window")
		}
		accept(t, w, nil, 7)
	})
	t.Run("a great leap forgets what is far below", func(t *testing.T) {
		w := New(64)
		accept(t, w, nil, 1, 2, 3, 1<<40-1)
		accept(t, w, ErrReplay, 1, 2, 3, 1<<40-1, 1<<40-65)
		accept(t, w, nil, 1<<40-64, 1<<40-2)
	})
	t.Run("extremes do not wrap", func(t *testing.T) {
		w := New(4096)
		accept(t, w, nil, math.MaxUint64, math.MaxUint64-4095)
		accept(t, w, ErrReplay, math.MaxUint64-4096, 0, math.MaxUint64)
	})
	t.Run("sizes are clipped", func(t *testing.T) {
		for size, want := range map[int]int{-1: 32, 0: 32, 1: 1, 4096: 4096, 1 << 20: 4096} {
			if got := New(size).Size(); got != want {
				t.Errorf("New(%d) has size %d, want %d", size, got, want)
			}
		}
	})
	t.Run("size 1 wants strictly increasing numbers", func(t *testing.T) {
		w := New(1)
		accept(t, w, nil, 0, 1, 5)
		accept(t, w, ErrReplay, 4, 5, 0)
	})
	t.Run("an invalid window refuses everything", func(t *testing.T) {
		w := New(32)
		accept(t, w, nil, 5)
		w.Invalidate()
		if w.Valid() {
			t.Error("still valid")
		}
		accept(t, w, ErrInvalid, 0, 5, 6)
		var zero Window
		accept(t, &zero, ErrInvalid, 0, 1)
	})
	t.Run("OS-B.1.2-2 the number verified by Echo becomes the lower limit", func(t *testing.T) {
		w := New(32)
		w.Invalidate()
		w.Resync(40)
		if !w.Valid() {
			t.Fatal("not valid")
		}
		accept(t, w, ErrReplay, 40, 39, 20, 0)
		accept(t, w, nil, 41, 43)
		accept(t, w, ErrReplay, 39, 41)
		accept(t, w, nil, 42)
		var zero Window
		zero.Resync(3)
		accept(t, &zero, ErrReplay, 3, 2)
		accept(t, &zero, nil, 4)
	})
}

// model is the window as a sentence: the set of what was received, and the edge.
type model struct {
	size     uint64
	floor    uint64
	received map[uint64]bool
	top      uint64
	any      bool
}

func (m *model) ok(seq uint64) bool {
	return seq >= m.floor && !m.received[seq] && (!m.any || seq > m.top || m.top-seq < m.size)
}

func (m *model) accept(seq uint64) {
	m.received[seq] = true
	if !m.any || seq > m.top {
		m.any, m.top = true, seq
	}
}

func TestWindowAgainstModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.SampledFrom([]int{1, 2, 31, 32, 33, 63, 64, 65, 127, 128, 129, 4096}).Draw(t, "size")
		w := New(size)
		m := &model{size: uint64(size), received: map[uint64]bool{}}
		near := func(label string) uint64 {
			d := rapid.Int64Range(-int64(size)-70, int64(size)+200).Draw(t, label)
			return uint64(max(0, int64(m.top)+d))
		}
		t.Repeat(map[string]func(*rapid.T){
			"accept": func(t *rapid.T) {
				seq := near("seq")
				want := error(nil)
				if !m.ok(seq) {
					want = ErrReplay
				}
				if err := w.Check(seq); !errors.Is(err, want) {
					t.Fatalf("Check(%d) = %v, want %v", seq, err, want)
				}
				if err := w.Accept(seq); !errors.Is(err, want) {
					t.Fatalf("Accept(%d) = %v, want %v", seq, err, want)
				}
				if want == nil {
					m.accept(seq)
				}
			},
			"resync": func(t *rapid.T) {
				seq := near("seq")
				w.Resync(seq)
				*m = model{size: m.size, floor: seq, received: map[uint64]bool{seq: true}, top: seq, any: true}
			},
			"store and restore": func(t *rapid.T) {
				b, err := w.MarshalBinary()
				if err != nil {
					t.Fatal(err)
				}
				n := New(size)
				if err := n.UnmarshalBinary(b); err != nil {
					t.Fatal(err)
				}
				w = n
			},
		})
	})
}

func TestBinaryOtherSize(t *testing.T) {
	t.Parallel()
	for _, sizes := range [][2]int{{8, 64}, {64, 8}, {32, 32}, {32, 0}} {
		t.Run(fmt.Sprintf("%d into %d", sizes[0], sizes[1]), func(t *testing.T) {
			old := New(sizes[0])
			for _, s := range []uint64{90, 100, 95, 98} {
				_ = old.Accept(s)
			}
			b, err := old.MarshalBinary()
			if err != nil {
				t.Fatal(err)
			}
			var n Window
			if sizes[1] > 0 {
				n = *New(sizes[1])
			}
			if err := n.UnmarshalBinary(b); err != nil {
				t.Fatal(err)
			}
			for s := uint64(0); s < 200; s++ {
				if n.Check(s) == nil && old.Check(s) != nil {
					t.Errorf("%d is acceptable only after the restore", s)
				}
				if s > 100 && n.Check(s) != nil {
					t.Errorf("%d is refused: %v", s, n.Check(s))
				}
			}
		})
	}
}

func TestBinaryInvalidWindow(t *testing.T) {
	t.Parallel()
	w := New(32)
	w.Invalidate()
	b, err := w.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	n := New(32)
	if err := n.UnmarshalBinary(b); err != nil || n.Valid() {
		t.Errorf("err %v, valid %v: an invalid window must stay invalid", err, n.Valid())
	}
	if _, err := new(Window).MarshalBinary(); !errors.Is(err, ErrInvalid) {
		t.Errorf("zero window: %v", err)
	}
}

func FuzzUnmarshalBinary(f *testing.F) {
	w := New(32)
	seed, _ := w.MarshalBinary()
	f.Add(seed)
	_ = w.Accept(7)
	_ = w.Accept(1000)
	seed, _ = w.MarshalBinary()
	f.Add(seed)
	w.Resync(1 << 39)
	seed, _ = w.MarshalBinary()
	f.Add(seed)
	f.Fuzz(func(t *testing.T, b []byte) {
		var w Window
		if err := w.UnmarshalBinary(b); err != nil {
			if w.Valid() || w.size != 0 {
				t.Fatal("a refused input changed the window")
			}
			return
		}
		again, err := w.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		var n Window
		if err := n.UnmarshalBinary(again); err != nil {
			t.Fatalf("own output is refused: %v", err)
		}
		top, ok := w.Highest()
		if ok && w.Check(top) == nil {
			t.Fatal("the highest number received is acceptable again")
		}
		for _, s := range []uint64{0, top, top - 1, top + 1, w.floor, w.floor - 1} {
			if (w.Check(s) == nil) != (n.Check(s) == nil) {
				t.Fatalf("%d is judged differently after a round trip", s)
			}
		}
	})
}
