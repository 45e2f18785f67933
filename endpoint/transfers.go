package endpoint

import (
	"container/list"
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/internal/clock"
	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// transfers are the bodies that this endpoint, as a server, is receiving or
// handing out block by block (RFC 7959). What belongs to verified peers and
// what strangers sent have separate rooms. Each room is bounded in bytes, in
// all and for one peer; the bodies that were not touched for longest make room
// for others, and none stays longer than an exchange may last.
type transfers struct {
	clock clock.Clock
	life  time.Duration

	mu       sync.Mutex
	verified room
	plain    room
	timer    clock.Timer
	stopped  bool
}

// direction tells the uses of a body apart.
type direction uint8

const (
	receiving      direction = iota // Block1
	handingOut                      // Block2
	outerReceiving                  // Block1 below OSCORE
	outerHanding                    // Block2 below OSCORE
)

// transferKey is what makes blocks belong together: who sends them, and the
// request without what may differ between its blocks (RFC 7959, Section 2.4;
// RFC 9175, Section 3.3).
type transferKey struct {
	dir     direction
	who     any // comparable: a security context, or a remote
	request [sha256.Size]byte
}

// transfer is one body. Its fields are guarded by transfers.mu, but a body that
// is handed out never changes.
type transfer struct {
	key  transferKey
	body []byte
	cost int // bytes accounted for
	used time.Time

	// Of a body that is handed out:
	code    codes.Code
	opts    message.Options
	payload [sha256.Size]byte // hash of the request's payload
}

// transferOverhead is what a transfer costs besides its body, in bytes, about.
const transferOverhead = 2048

type room struct {
	limit, perPeer int
	bytes          int
	index          map[transferKey]*list.Element
	order          *list.List // of *transfer, least recently used first
	peers          map[any]int
}

func newRoom(limit, perPeer int) room {
	return room{limit: limit, perPeer: perPeer, index: make(map[transferKey]*list.Element), order: list.New(), peers: make(map[any]int)}
}

func newTransfers(cfg *Config) *transfers {
	plain := cfg.BlockBytes / plainShare
	return &transfers{
		clock:    cfg.Clock,
		life:     cfg.exchangeLifetime(),
		verified: newRoom(cfg.BlockBytes, max(cfg.BlockBytes/4, min(cfg.MaxBody, cfg.BlockBytes))),
		plain:    newRoom(plain, max(plain/4, min(cfg.MaxBody, plain))),
	}
}

// room is where the bodies of a peer belong.
func (t *transfers) room(k transferKey) *room {
	if _, stranger := k.who.(remote); stranger {
		return &t.plain
	}
	return &t.verified
}

// accounted is whose share of a room a transfer uses up: strangers are told
// apart by host only, as ports cost nothing.
func accounted(who any) any {
	if r, ok := who.(remote); ok {
		return r.addr.Addr()
	}
	return who
}

// get returns a transfer, as touched now. t.mu is held.
func (t *transfers) get(k transferKey, now time.Time) *transfer {
	r := t.room(k)
	el := r.index[k]
	if el == nil {
		return nil
	}
	x := el.Value.(*transfer)
	if now.Sub(x.used) >= t.life {
		r.remove(el)
		return nil
	}
	x.used = now
	r.order.MoveToBack(el)
	return x
}

// put adds x in place of an earlier one with its key; false if it is too large
// for its room. t.mu is held.
func (t *transfers) put(x *transfer, now time.Time) bool {
	r := t.room(x.key)
	if el := r.index[x.key]; el != nil {
		r.remove(el)
	}
	x.used, x.cost = now, cap(x.body)+transferOverhead
	if !r.makeRoom(x, x.cost) {
		return false
	}
	r.index[x.key] = r.order.PushBack(x)
	r.account(x, x.cost)
	t.arm()
	return true
}

// grow accounts for a body that became longer; false if there is no room, and
// then the transfer is gone. t.mu is held.
func (t *transfers) grow(x *transfer) bool {
	r := t.room(x.key)
	more := cap(x.body) + transferOverhead - x.cost
	if more <= 0 {
		return true
	}
	if !r.makeRoom(x, more) {
		r.remove(r.index[x.key])
		return false
	}
	x.cost += more
	r.account(x, more)
	return true
}

// remove forgets a transfer. t.mu is held.
func (t *transfers) remove(k transferKey) {
	r := t.room(k)
	if el := r.index[k]; el != nil {
		r.remove(el)
	}
}

// makeRoom evicts other transfers until n bytes more fit: of the same peer
// first, if it has used up its share.
func (r *room) makeRoom(x *transfer, n int) bool {
	who := accounted(x.key.who)
	for r.peers[who]+n > r.perPeer {
		if !r.evict(x, who) {
			return false
		}
	}
	for r.bytes+n > r.limit {
		if !r.evict(x, nil) {
			return false
		}
	}
	return true
}

// evict removes the least recently used transfer of a peer, or of anybody, but
// not x.
func (r *room) evict(x *transfer, who any) bool {
	for el := r.order.Front(); el != nil; el = el.Next() {
		y := el.Value.(*transfer)
		if y != x && (who == nil || accounted(y.key.who) == who) {
			r.remove(el)
			return true
		}
	}
	return false
}

func (r *room) remove(el *list.Element) {
	x := el.Value.(*transfer)
	r.order.Remove(el)
	delete(r.index, x.key)
	r.account(x, -x.cost)
}

func (r *room) account(x *transfer, n int) {
	who := accounted(x.key.who)
	r.bytes += n
	if r.peers[who] += n; r.peers[who] <= 0 {
		delete(r.peers, who)
	}
}

// arm has what is too old removed in time. t.mu is held.
func (t *transfers) arm() {
	if t.timer == nil && !t.stopped {
		t.timer = t.clock.AfterFunc(t.life, t.expire)
	}
}

func (t *transfers) expire() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.timer = nil
	now := t.clock.Now()
	left := false
	for _, r := range []*room{&t.verified, &t.plain} {
		for el := r.order.Front(); el != nil && now.Sub(el.Value.(*transfer).used) >= t.life; el = r.order.Front() {
			r.remove(el)
		}
		left = left || r.order.Len() > 0
	}
	if left {
		t.arm()
	}
}

func (t *transfers) stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stopped = true
	if t.timer != nil {
		t.timer.Stop()
	}
}

// held is how many bytes are accounted for, in both rooms.
func (t *transfers) held() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.verified.bytes + t.plain.bytes
}

// requestHash hashes what the blocks of one operation have in common: the
// method and all options but the Block options, those that are no part of the
// cache key (RFC 7252, Section 5.4.2), and Observe and ETag, which only the
// first of several requests carries.
func requestHash(m message.Message) [sha256.Size]byte {
	buf := make([]byte, 0, 256)
	buf = append(buf, byte(m.Code))
	for _, o := range m.Options {
		switch {
		case o.ID == message.Block1 || o.ID == message.Block2 || o.ID == message.Observe || o.ID == message.ETag:
			continue
		case o.ID == coapmsg.NoResponse || noCacheKey(o.ID):
			continue
		}
		buf = binary.BigEndian.AppendUint16(buf, uint16(o.ID))
		buf = binary.BigEndian.AppendUint16(buf, uint16(len(o.Value)))
		buf = append(buf, o.Value...)
	}
	return sha256.Sum256(buf)
}

func noCacheKey(id message.OptionID) bool { return id&0x1e == 0x1c }
