package member

import (
	"encoding/binary"
	"time"
)

// spread returns a time between d-by and d, at random, so that devices that
// were started together do not all come to the Group Manager at once.
func (d *Device) spread(t, by time.Duration) time.Duration {
	b, err := d.random(8)
	if err != nil || by <= 0 {
		return t
	}
	return t - time.Duration(binary.BigEndian.Uint64(b)%uint64(by))
}

// backoff are growing waits between tries that fail. The zero value begins with
// the shortest.
type backoff struct {
	first, most time.Duration
	n           int
}

// next returns how long to wait, at least half of a time that doubles.
func (b *backoff) next(d *Device) time.Duration {
	w := b.first
	for range min(b.n, 30) {
		if w >= b.most {
			break
		}
		w *= 2
	}
	b.n++
	w = min(w, b.most)
	return d.spread(w, w/2)
}

func (b *backoff) reset() { b.n = 0 }
