package endpoint

import (
	"github.com/plgd-dev/go-coap/v3/message"

	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// block is the value of a Block1 or Block2 option: RFC 7959, Section 2.2.
type block struct {
	num  uint32 // of the block, in units of its size; 20 bits
	more bool   // further blocks follow; in a Block2 request always false
	szx  uint8  // size exponent, 0 to 6; 7 is BERT (RFC 8323, Section 6)
}

// Bounds of what a Block option can say.
const (
	maxSZX      = 6 // blocks of 1024 bytes
	bertSZX     = 7
	maxBlockNum = 1<<20 - 1
)

// parseBlock reads an option value. ok is false if it is longer than three
// bytes.
func parseBlock(v []byte) (b block, ok bool) {
	if len(v) > 3 {
		return b, false
	}
	n, err := coapmsg.DecodeUint(v)
	if err != nil {
		return b, false
	}
	return block{num: n >> 4, more: n&8 != 0, szx: uint8(n & 7)}, true
}

// getBlock looks for a Block option. ok is false if there is one that cannot be
// read; b is nil if there is none.
func getBlock(opts message.Options, id message.OptionID) (b *block, ok bool) {
	v, has := coapmsg.Get(opts, id)
	if !has {
		return nil, true
	}
	p, ok := parseBlock(v)
	return &p, ok
}

// size is the size of a block in bytes; a BERT block is counted in units of
// 1024.
func (b block) size() int { return 16 << min(b.szx, maxSZX) }

// offset is where the block begins in the body, in bytes.
func (b block) offset() int { return int(b.num) * b.size() }

// option makes the option.
func (b block) option(id message.OptionID) message.Option {
	v := b.num<<4 | uint32(b.szx)
	if b.more {
		v |= 8
	}
	return message.Option{ID: id, Value: coapmsg.EncodeUint(v)}
}

// fits says whether a payload of n bytes may stand in the block: full unless it
// is the last one, and never empty where more follows.
func (b block) fits(n int) bool {
	switch {
	case b.szx == bertSZX:
		return !b.more || n > 0 && n%b.size() == 0
	case b.more:
		return n == b.size()
	}
	return n <= b.size()
}

// szxFor is the exponent of the largest block size that is at most n bytes; 0
// if none is.
func szxFor(n int) uint8 {
	for szx := uint8(maxSZX); szx > 0; szx-- {
		if 16<<szx <= n {
			return szx
		}
	}
	return 0
}

// setOption returns opts with exactly one option of this number, in a new slice.
func setOption(opts message.Options, o message.Option) message.Options {
	out := make(message.Options, 0, len(opts)+1)
	for _, x := range opts {
		if x.ID != o.ID {
			out = append(out, x)
		}
	}
	return coapmsg.Insert(out, o)
}

// withoutOptions returns opts less all with these numbers, in a new slice.
func withoutOptions(opts message.Options, ids ...message.OptionID) message.Options {
	out := make(message.Options, 0, len(opts)+2)
next:
	for _, o := range opts {
		for _, id := range ids {
			if o.ID == id {
				continue next
			}
		}
		out = append(out, o)
	}
	return out
}
