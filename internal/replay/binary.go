package replay

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrFormat says that bytes are not a stored window.
var ErrFormat = errors.New("replay: not a stored window")

// Stored form: version 1, flags, size (2 bytes), floor and top (8 bytes each,
// big endian), then one bit per number from top downwards, most significant
// bit first.
const (
	version    = 1
	flagValid  = 0x01
	flagSeen   = 0x02
	headerSize = 1 + 1 + 2 + 8 + 8
)

// MarshalBinary returns the state, to be stored at a clean stop only: a window
// stored while messages still arrive would accept them again (RFC 8613,
// Section 7.5 and Appendix B.1).
func (w *Window) MarshalBinary() ([]byte, error) {
	if w.size == 0 {
		return nil, fmt.Errorf("%w: zero window", ErrInvalid)
	}
	b := make([]byte, headerSize+(int(w.size)+7)/8)
	b[0] = version
	if w.valid {
		b[1] |= flagValid
	}
	if w.seen {
		b[1] |= flagSeen
	}
	binary.BigEndian.PutUint16(b[2:], uint16(w.size))
	binary.BigEndian.PutUint64(b[4:], w.floor)
	binary.BigEndian.PutUint64(b[12:], w.top)
	if w.seen {
		for i := uint64(0); i < w.size && i <= w.top-w.floor; i++ {
			if w.bit(w.top - i) {
				b[headerSize+i/8] |= 0x80 >> (i % 8)
			}
		}
	}
	return b, nil
}

// UnmarshalBinary restores a state made by MarshalBinary. A window made by New
// keeps its own size: where it is larger than the stored one, the numbers below
// the stored window are refused. On an error the window is as it was.
func (w *Window) UnmarshalBinary(b []byte) error {
	if len(b) < headerSize || b[0] != version || b[1]&^(flagValid|flagSeen) != 0 {
		return ErrFormat
	}
	size := int(binary.BigEndian.Uint16(b[2:]))
	if size < 1 || size > MaxSize || len(b) != headerSize+(size+7)/8 {
		return fmt.Errorf("%w: size", ErrFormat)
	}
	valid, seen := b[1]&flagValid != 0, b[1]&flagSeen != 0
	floor, top := binary.BigEndian.Uint64(b[4:]), binary.BigEndian.Uint64(b[12:])
	bits := b[headerSize:]
	if seen && (!valid || top < floor || bits[0]&0x80 == 0) || !seen && top != 0 {
		return fmt.Errorf("%w: top", ErrFormat)
	}
	for i := uint64(0); i < uint64(len(bits))*8; i++ {
		inside := seen && i < uint64(size) && i <= top-floor
		if bits[i/8]&(0x80>>(i%8)) != 0 && !inside {
			return fmt.Errorf("%w: bit outside the window", ErrFormat)
		}
	}

	n := Window{valid: valid, seen: seen, floor: floor, top: top}
	if w.size != 0 {
		size = int(w.size)
	}
	n.init(size)
	stored := uint64(binary.BigEndian.Uint16(b[2:]))
	if seen {
		if top >= stored {
			n.floor = max(floor, top-stored+1)
		}
		for i := uint64(0); i < min(stored, n.size) && i <= top-floor; i++ {
			if bits[i/8]&(0x80>>(i%8)) != 0 {
				n.setBit(top - i)
			}
		}
	}
	*w = n
	return nil
}
