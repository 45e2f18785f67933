// Package replay is the sliding window that refuses a sequence number it has
// already accepted (RFC 8613, Section 7.4; the anti-replay windows of IPsec and
// DTLS work the same way).
//
// A receiver first asks [Window.Check], which changes nothing, then verifies
// the message, then calls [Window.Accept], which checks again and marks. Only
// a verified message may reach Accept.
//
// A window can be invalid: after a restart that lost it, nobody knows what was
// received. It refuses everything with [ErrInvalid] until [Window.Resync] sets
// a new lower limit, for which RFC 8613, Appendix B.1.2 uses the Echo option.
package replay

import "errors"

var (
	// ErrReplay says that the number was received before, or lies below the
	// window and may have been.
	ErrReplay = errors.New("replay: sequence number already received or too old")
	// ErrInvalid says that the window is not valid: freshness is unknown.
	ErrInvalid = errors.New("replay: window is not valid")
)

const (
	// DefaultSize is the window size of RFC 8613, Section 3.2.2.
	DefaultSize = 32
	// MaxSize bounds the memory of one window (512 bytes of bitmap).
	MaxSize = 4096
)

const wordBits = 64

// Window remembers which of the last numbers were received. It is not safe for
// concurrent use: its owner locks. The zero value is an invalid window.
type Window struct {
	size  uint64
	valid bool
	seen  bool   // top was received
	floor uint64 // numbers below were never acceptable
	top   uint64 // highest number received, meaningful if seen
	// ring holds one bit for each number n at n mod len(ring)*64. It has one
	// word more than the window needs, so that whole words can be cleared when
	// top moves on.
	ring []uint64
}

// New returns a valid window in which nothing was received. A size that is not
// positive means DefaultSize; one above MaxSize is clipped to it.
func New(size int) *Window {
	w := &Window{valid: true}
	w.init(size)
	return w
}

func (w *Window) init(size int) {
	if size <= 0 {
		size = DefaultSize
	}
	w.size = uint64(min(size, MaxSize))
	w.ring = make([]uint64, (w.size+wordBits-1)/wordBits+1)
}

// Size returns how many numbers the window spans.
func (w *Window) Size() int { return int(w.size) }

// Valid reports whether the window can judge.
func (w *Window) Valid() bool { return w.valid }

// Highest returns the highest number received; ok is false if there is none.
func (w *Window) Highest() (seq uint64, ok bool) { return w.top, w.valid && w.seen }

// Check returns nil if seq was not received before, ErrReplay if it was or lies
// below the window, ErrInvalid if the window is not valid. It changes nothing.
func (w *Window) Check(seq uint64) error {
	switch {
	case !w.valid:
		return ErrInvalid
	case seq < w.floor:
		return ErrReplay
	case !w.seen || seq > w.top:
		return nil
	case w.top-seq >= w.size, w.bit(seq):
		return ErrReplay
	}
	return nil
}

// Accept checks seq again and marks it as received. On an error the window is
// as it was.
func (w *Window) Accept(seq uint64) error {
	if err := w.Check(seq); err != nil {
		return err
	}
	switch {
	case !w.seen:
		w.seen, w.top = true, seq
	case seq > w.top:
		w.clearTo(seq)
		w.top = seq
	}
	w.setBit(seq)
	return nil
}

// Invalidate forgets everything; Check and Accept return ErrInvalid from now on.
func (w *Window) Invalidate() {
	w.valid, w.seen, w.floor, w.top = false, false, 0, 0
	clear(w.ring)
}

// Resync makes the window valid with seq as received and as the lower limit:
// numbers up to and including seq are refused from now on.
func (w *Window) Resync(seq uint64) {
	if w.size == 0 {
		w.init(DefaultSize)
	}
	clear(w.ring)
	w.valid, w.seen, w.floor, w.top = true, true, seq, seq
	w.setBit(seq)
}

func (w *Window) slot(seq uint64) (word int, mask uint64) {
	return int(seq / wordBits % uint64(len(w.ring))), 1 << (seq % wordBits)
}

func (w *Window) bit(seq uint64) bool {
	i, m := w.slot(seq)
	return w.ring[i]&m != 0
}

func (w *Window) setBit(seq uint64) {
	i, m := w.slot(seq)
	w.ring[i] |= m
}

// clearTo empties the words that come into use when top moves up to seq.
func (w *Window) clearTo(seq uint64) {
	from, to := w.top/wordBits, seq/wordBits
	if to-from >= uint64(len(w.ring)) {
		clear(w.ring)
		return
	}
	for i := from + 1; i <= to; i++ {
		w.ring[i%uint64(len(w.ring))] = 0
	}
}
