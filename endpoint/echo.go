package endpoint

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/cohort-iot/cohort/internal/clock"
	"github.com/cohort-iot/cohort/internal/coapmsg"
)

const (
	// echoSize is the length of an Echo value: time, random part, MAC.
	echoSize = 4 + 4 + 12
	// echoLifetime is how long an Echo value is good: leisure, a unicast
	// round trip with retransmissions, and some.
	echoLifetime = 60 * time.Second
	// echoesUsed is how many values may be redeemed in twice that time; more
	// are challenged again. Some 8 MB at the most: enough for tens of thousands
	// of devices that come back at once, as after a power cut.
	echoesUsed = 65536
)

// echoes makes and checks Echo values (RFC 9175, Section 2). A value carries
// its time and a MAC over time, peer and address under a key of this process:
// a challenge needs no memory, so that nobody can exhaust it with replays. A
// value is accepted once; what is remembered for that are values that came
// back in verified messages.
type echoes struct {
	key   []byte
	rand  io.Reader
	clock clock.Clock
	start time.Time

	mu   sync.Mutex
	used map[[echoSize]byte]struct{}
	list []usedEcho // oldest first
}

type usedEcho struct {
	value [echoSize]byte
	until time.Time
}

func newEchoes(rand io.Reader, c clock.Clock) (*echoes, error) {
	e := &echoes{key: make([]byte, 32), rand: rand, clock: c, start: c.Now(), used: make(map[[echoSize]byte]struct{})}
	if _, err := io.ReadFull(rand, e.key); err != nil {
		return nil, fmt.Errorf("randomness for echo values: %w", err)
	}
	return e, nil
}

// issue makes a value for a peer.
func (e *echoes) issue(p *Peer) ([]byte, error) {
	v := make([]byte, 8, echoSize)
	binary.BigEndian.PutUint32(v, e.ticks(e.clock.Now()))
	if _, err := io.ReadFull(e.rand, v[4:8]); err != nil {
		return nil, fmt.Errorf("randomness for an echo value: %w", err)
	}
	return e.appendMAC(v, p), nil
}

// redeem says whether a value was issued to this peer at this address not long
// ago and comes back for the first time.
func (e *echoes) redeem(v []byte, p *Peer) bool {
	if len(v) != echoSize {
		return false
	}
	want := e.appendMAC(append(make([]byte, 0, echoSize), v[:8]...), p)
	now := e.clock.Now()
	age := time.Duration(e.ticks(now)-binary.BigEndian.Uint32(v)) * time.Millisecond
	if !hmac.Equal(v, want) || age > echoLifetime {
		return false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for len(e.list) > 0 && !now.Before(e.list[0].until) {
		delete(e.used, e.list[0].value)
		e.list = e.list[1:]
	}
	key := [echoSize]byte(v)
	if _, again := e.used[key]; again || len(e.list) >= echoesUsed {
		return false
	}
	e.used[key] = struct{}{}
	e.list = append(e.list, usedEcho{key, now.Add(2 * echoLifetime)})
	return true
}

// ticks are milliseconds since the start; they wrap after 49 days, when a value
// of 49 days ago could be taken for a new one if it were not in hundreds of
// other ways useless: it would have to come in a request never seen before.
func (e *echoes) ticks(now time.Time) uint32 { return uint32(now.Sub(e.start).Milliseconds()) }

func (e *echoes) appendMAC(v []byte, p *Peer) []byte {
	h := hmac.New(sha256.New, e.key)
	h.Write(v)
	addr := p.Addr.Addr().As16()
	h.Write(addr[:])
	h.Write([]byte{byte(p.Addr.Port() >> 8), byte(p.Addr.Port()), byte(len(p.SenderID)), byte(len(p.Gid))})
	h.Write(p.SenderID)
	h.Write(p.Gid)
	return append(v, h.Sum(nil)[:echoSize-len(v)]...)
}

// checkFresh serves the Echo procedure for a request that verified but may be a
// replay. It reports whether the request is fresh; otherwise the request is
// finished, with a challenge: a protected 4.01 that carries nothing but an
// Inner Echo and has a Partial IV of its own (RFC 8613, Appendix B.1.2;
// draft-ietf-core-oscore-groupcomm, Section 9).
func (e *Endpoint) checkFresh(f *inflight, o *Opened) bool {
	if v, ok := coapmsg.Get(o.Message.Options, coapmsg.Echo); ok && e.echo.redeem(v, &o.Peer) {
		if err := o.Fresh(); err != nil {
			e.drop(DropNotFresh)
			e.cfg.Log.Debug("request not fresh", "from", f.d.from, "error", err)
			e.abandon(f)
			return false
		}
		e.addresses.note(o.identity(&o.Peer), f.d.from, e.cfg.Clock.Now())
		return true
	}
	v, err := e.echo.issue(&o.Peer)
	if err != nil {
		e.cfg.Log.Error("no challenge", "error", err)
		e.abandon(f)
		return false
	}
	e.sendChallenge(f, o, v)
	return false
}
