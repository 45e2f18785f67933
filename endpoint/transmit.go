package endpoint

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"

	"github.com/cohort-iot/cohort/internal/clock"
)

// outcome is how a transmission ended.
type outcome uint8

const (
	acknowledged outcome = iota
	rejected             // by a Reset
	exhausted            // never acknowledged
)

// transmissions are the messages that wait for an acknowledgement or may be
// rejected by a Reset: RFC 7252, Section 4.2. What is sent again are the same
// bytes.
type transmissions struct {
	e *Endpoint

	seed    maphash.Seed // of Message IDs
	began   time.Time
	mu      sync.Mutex
	pending map[transmissionKey]*transmission
	peers   map[remote]*awaited // who has any
	free    [2]int              // pending ones that are not bounded: of strangers, and all
	stopped bool
}

// awaited counts what is pending of one remote, and Resets from there that fit
// nothing of it.
type awaited struct{ pending, stray int }

type transmissionKey struct {
	sock *socket
	to   remote
	mid  uint16
}

type transmission struct {
	key     transmissionKey
	data    []byte
	sock    *socket
	from    netip.Addr
	bounded bool          // by a table of its own: requests, notifications
	strange bool          // for who did not verify
	timeout time.Duration // of the next retransmission; 0: to be chosen
	retries int
	renew   func(retries int, timeout time.Duration) bool // see expire; may be nil
	timer   clock.Timer
	done    func(outcome)
}

func newTransmissions(e *Endpoint) *transmissions {
	return &transmissions{e: e, seed: maphash.MakeSeed(), began: e.cfg.Clock.Now(), pending: make(map[transmissionKey]*transmission), peers: make(map[remote]*awaited)}
}

// number gives a message to a peer or group its Message ID, for its lifetime; or
// it says how long there will be none. With spare it leaves some to others.
func (t *transmissions) number(s *socket, to remote, confirmable, spare bool) (key transmissionKey, wait time.Duration) {
	now := t.e.cfg.Clock.Now().Sub(t.began)
	life := t.e.cfg.nonLifetime()
	if confirmable {
		life = t.e.cfg.exchangeLifetime()
	}
	hash := midHash(t.seed, to)
	key = transmissionKey{sock: s, to: to}
	for {
		if key.mid, wait = s.mids.take(hash, to.addr.Addr().IsMulticast(), now, now+life, spare); wait > 0 {
			return key, wait
		}
		if !t.holds(key) { // a notification may still be watched
			return key, 0
		}
	}
}

// answerTo gives a response of its own to a request its Message ID.
func (t *transmissions) answerTo(s *socket, to remote, mid uint16) transmissionKey {
	key := transmissionKey{s, to, answerMID(midHash(t.seed, to), mid)}
	for range midSegment {
		if !t.holds(key) {
			break
		}
		key.mid = midAnswers | (key.mid + 1)
	}
	return key
}

func (t *transmissions) holds(key transmissionKey) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.pending[key] != nil
}

// start sends a message and calls done, once and without locks, when it is
// acknowledged, rejected or given up. A confirmable message is retransmitted;
// another is only watched for a Reset. The transmission ends without a call
// when it is canceled.
func (t *transmissions) start(x *transmission, confirmable bool) {
	e := t.e
	t.mu.Lock()
	if t.stopped {
		t.mu.Unlock()
		return
	}
	if !x.bounded && (t.free[1] >= maxSeparate || x.strange && t.free[0] >= maxSeparate/2) {
		confirmable = false
	} else {
		t.take(x.key) // none, but for a peer that uses its Message IDs again at once
		t.put(x)
	}
	if confirmable {
		if x.timeout == 0 {
			x.timeout = time.Duration(float64(e.cfg.ACKTimeout) * (1 + (ackRandomFactor-1)*e.jitter()))
		}
		x.timer = e.cfg.Clock.AfterFunc(x.timeout, func() { t.expire(x) })
	}
	t.mu.Unlock()
	e.send(x.sock, x.data, x.key.to.addr, x.from)
}

// expire sends again or gives up. If renew takes over, with the counter and the
// timeout that come next, it is over without a call of done.
func (t *transmissions) expire(x *transmission) {
	t.mu.Lock()
	if t.pending[x.key] != x {
		t.mu.Unlock()
		return
	}
	if x.retries >= t.e.cfg.MaxRetransmit {
		t.take(x.key)
		t.mu.Unlock()
		x.done(exhausted)
		return
	}
	retries, timeout := x.retries+1, 2*x.timeout
	if x.renew != nil {
		t.mu.Unlock()
		if x.renew(retries, timeout) {
			t.cancel(x.key)
			return
		}
		t.mu.Lock()
		if t.pending[x.key] != x {
			t.mu.Unlock()
			return
		}
	}
	x.retries, x.timeout = retries, timeout
	x.timer = t.e.cfg.Clock.AfterFunc(x.timeout, func() { t.expire(x) })
	t.mu.Unlock()
	t.e.send(x.sock, x.data, x.key.to.addr, x.from)
}

// settle ends the transmission that an ACK or a Reset belongs to. It reports
// whether there was one. Resets from an address are looked at no more when too
// many of them belonged to nothing: somebody who can write that address but does
// not see what is sent there is trying Message IDs, to end what its owner has
// begun.
func (t *transmissions) settle(d *datagram, mid uint16, reset bool) bool {
	from := d.remote()
	t.mu.Lock()
	peer := t.peers[from]
	if peer == nil || reset && peer.stray >= maxStray && from.conn == nil {
		t.mu.Unlock()
		return false
	}
	x := t.take(transmissionKey{d.sock, from, mid})
	if x == nil && reset {
		peer.stray++
	}
	t.mu.Unlock()
	if x == nil {
		return false
	}
	if reset {
		x.done(rejected)
	} else {
		x.done(acknowledged)
	}
	return true
}

// cancel stops a transmission, if it still is one.
func (t *transmissions) cancel(key transmissionKey) {
	t.mu.Lock()
	t.take(key)
	t.mu.Unlock()
}

func (t *transmissions) put(x *transmission) {
	t.pending[x.key] = x
	t.count(x, 1)
	peer := t.peers[x.key.to]
	if peer == nil {
		peer = &awaited{}
		t.peers[x.key.to] = peer
	}
	peer.pending++
}

func (t *transmissions) take(key transmissionKey) *transmission {
	x := t.pending[key]
	if x != nil {
		delete(t.pending, key)
		t.count(x, -1)
		if peer := t.peers[key.to]; peer.pending == 1 {
			delete(t.peers, key.to)
		} else {
			peer.pending--
		}
		if x.timer != nil {
			x.timer.Stop()
		}
	}
	return x
}

func (t *transmissions) count(x *transmission, by int) {
	if x.bounded {
		return
	}
	t.free[1] += by
	if x.strange {
		t.free[0] += by
	}
}

// stop ends all.
func (t *transmissions) stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stopped = true
	for key := range t.pending {
		t.take(key)
	}
}
