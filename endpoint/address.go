package endpoint

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"sync"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// addresses remembers at which address each peer was shown to be reachable, by
// an Echo value that came back from there (RFC 9175, Section 2.4;
// draft-ietf-core-groupcomm-bis, Section 6.3.1). A verified peer has one
// address; a stranger is a remote. Either kind has room for addressesKept,
// in two generations: when the younger is full it becomes the older.
type addresses struct {
	mu              sync.Mutex
	peers, strange  generations
	key             []byte // of Echo values for strangers
	lifetime, valid time.Duration
}

type generations struct{ young, old map[any]validated }

type validated struct {
	addr netip.AddrPort
	at   time.Time
}

// addressEchoSize is the length of an Echo value for a stranger: a time and a
// MAC. It is so short that a challenge is not much longer than the shortest
// request.
const addressEchoSize = 4 + 8

func newAddresses(key []byte) *addresses {
	return &addresses{key: key, lifetime: addressLifetime, valid: echoLifetime}
}

func (g *generations) get(who any) (validated, bool) {
	if v, ok := g.young[who]; ok {
		return v, true
	}
	v, ok := g.old[who]
	return v, ok
}

func (g *generations) put(who any, v validated) {
	if len(g.young) >= addressesKept/2 {
		g.old, g.young = g.young, nil
	}
	if g.young == nil {
		g.young = make(map[any]validated)
	}
	g.young[who] = v
}

func (a *addresses) of(who any) *generations {
	if _, stranger := who.(remote); stranger {
		return &a.strange
	}
	return &a.peers
}

// reached says whether a peer was reached at this address not too long ago.
func (a *addresses) reached(who any, addr netip.AddrPort, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	v, ok := a.of(who).get(who)
	return ok && v.addr == addr && now.Sub(v.at) < a.lifetime
}

// note binds an address to a peer.
func (a *addresses) note(who any, addr netip.AddrPort, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.of(who).put(who, validated{addr, now})
}

// issue makes an Echo value for a stranger.
func (a *addresses) issue(addr netip.AddrPort, ticks uint32) []byte {
	v := make([]byte, 4, addressEchoSize)
	binary.BigEndian.PutUint32(v, ticks)
	return a.appendMAC(v, addr)
}

// redeem says whether a value was issued to this address not long ago. It may
// come back any number of times: it shows no more than where the peer is.
func (a *addresses) redeem(v []byte, addr netip.AddrPort, ticks uint32) bool {
	if len(v) != addressEchoSize {
		return false
	}
	want := a.appendMAC(append(make([]byte, 0, addressEchoSize), v[:4]...), addr)
	age := time.Duration(ticks-binary.BigEndian.Uint32(v)) * time.Millisecond
	return hmac.Equal(v, want) && age <= a.valid
}

func (a *addresses) appendMAC(v []byte, addr netip.AddrPort) []byte {
	h := hmac.New(sha256.New, a.key)
	h.Write([]byte("address"))
	h.Write(v)
	ip := addr.Addr().As16()
	h.Write(ip[:])
	h.Write([]byte{byte(addr.Port() >> 8), byte(addr.Port())})
	return append(v, h.Sum(nil)[:addressEchoSize-len(v)]...)
}

// validate looks at the Echo option of a request: if this endpoint gave its
// value to this peer at this address, the peer is reached there.
func (e *Endpoint) validate(a *ask, v []byte) {
	now := e.cfg.Clock.Now()
	if e.addresses.reached(a.who(), a.f.d.from, now) {
		return
	}
	ok := false
	if a.o == nil {
		ok = e.addresses.redeem(v, a.f.d.from, e.echo.ticks(now))
	} else {
		ok = e.echo.redeem(v, &a.peer)
	}
	if ok {
		e.addresses.note(a.who(), a.f.d.from, now)
	}
}

// allowance is how long the answer datagram to a request may be: without limit
// for peers whose address is validated, or else Config.Amplification times the
// request, counting the headers below CoAP on both sides.
func (e *Endpoint) allowance(f *inflight) int {
	below := 8 + 20
	if f.d.from.Addr().Is6() {
		below = 8 + 40
	}
	return e.cfg.Amplification*(len(f.d.data)+below) - below
}

// amplifies says whether an answer, with no more payload than a block has, would
// be longer than the allowance while the peer's address is not validated.
func (e *Endpoint) amplifies(a *ask, resp message.Message, szx uint8) bool {
	if !e.limited(a) {
		return false
	}
	if a.has.block2 {
		szx = min(szx, a.block2.szx)
	}
	n := 0
	if len(resp.Payload) > 16<<szx || a.has.block1 || a.has.block2 {
		n = blockOptionsSize
	}
	resp.Payload = resp.Payload[:min(len(resp.Payload), 16<<szx)]
	return n+e.answerSize(a, resp) > e.allowance(a.f) && !e.addresses.reached(a.who(), a.f.d.from, e.cfg.Clock.Now())
}

// limited says whether the length of answers to this request has a limit at
// all.
func (e *Endpoint) limited(a *ask) bool {
	return !e.cfg.InsecureAmplification && !a.f.d.sock.validated
}

// answerSize is an upper bound of the size of the datagram a response makes.
func (e *Endpoint) answerSize(a *ask, resp message.Message) int {
	return len(resp.Payload) + e.responseSize(len(a.f.token), a.o, &a.peer, resp)
}

// responseSize is the same without the payload.
func (e *Endpoint) responseSize(token int, o *Opened, p *Peer, resp message.Message) int {
	resp.Payload = nil
	n := 3 + token + coapmsg.PlaintextSize(resp) + 1
	if o != nil {
		n += o.overhead(p)
	}
	return n
}

// overhead is how much longer than its CoAP message a protected response is, at
// most: tag, option, and in group mode the signature, unless the opener says.
func (o *Opened) overhead(p *Peer) int {
	if o.Overhead > 0 {
		return o.Overhead
	}
	n := 40 + len(p.Gid)
	if p.Mode == GroupMode {
		n += 132
	}
	return n
}

// fitting returns the largest block size with which the answer keeps to the
// allowance; false if none does.
func (e *Endpoint) fitting(a *ask, resp message.Message) (szx uint8, ok bool) {
	bare := resp
	bare.Payload = nil
	room := e.allowance(a.f) - e.answerSize(a, bare) - blockOptionsSize
	return szxFor(room), room >= 16
}

// blockOptionsSize is what Block2, Size2, ETag, Block1 and the payload marker
// add to a response, in bytes, at most.
const blockOptionsSize = 5 + 6 + 9 + 5 + 1

// challenge answers a request with a 4.01 and an Echo option, Inner if the
// request was protected, instead of serving it or sending its response.
func (e *Endpoint) challenge(a *ask) {
	e.drop(DropUnvalidated)
	var v []byte
	if a.o == nil {
		v = e.addresses.issue(a.f.d.from, e.echo.ticks(e.cfg.Clock.Now()))
	} else {
		var err error
		if v, err = e.echo.issue(&a.peer); err != nil {
			e.cfg.Log.Error("no challenge", "error", err)
			e.abandon(a.f)
			return
		}
	}
	e.sendChallenge(a.f, a.o, v)
}

// sendChallenge sends an Echo value. A protected one has a Partial IV of its
// own and nothing but the option (RFC 8613, Appendix B.1.2;
// draft-ietf-core-oscore-groupcomm, Section 9). Requests that need a challenge
// can be made by anybody, or replayed: the answers are remembered in the room
// for strangers.
func (e *Endpoint) sendChallenge(f *inflight, o *Opened, v []byte) {
	resp := message.Message{Code: codes.Unauthorized, Options: message.Options{{ID: coapmsg.Echo, Value: v}}}
	if o != nil {
		var err error
		if resp, err = o.Protect(resp, ProtectOptions{PIV: true}); err != nil {
			e.drop(DropProtect)
			e.cfg.Log.Warn("challenge not protected", "to", f.d.from, "error", err)
			e.abandon(f)
			return
		}
	}
	e.sendResponse(f, resp, keepPlain)
}
