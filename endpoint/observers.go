package endpoint

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/internal/clock"
	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// observers are the clients that observe resources of this endpoint (RFC 7641,
// Section 4.1). An entry belongs to a client endpoint and a token; a client
// endpoint is a remote and, for a protected request, its security context.
// So neither garbage from the address, nor another client that has it later,
// touches an entry.
//
// A notification goes through these states; every observer is in one of them:
//
//	idle -> leisure (if registered by a group request) -> turn (at most NSTART
//	outstanding for one address) -> ready -> being made by a worker ->
//	outstanding (until acknowledged, or for a round trip) -> idle
//
// A change in any of them but idle is noted, and what is sent in the end is the
// newest state.
type observers struct {
	e   *Endpoint
	seq atomic.Uint32 // Observe values, which only grow

	mu      sync.Mutex
	entries map[observerKey]*observer
	paths   map[string]map[*observer]struct{} // also those being registered
	shares  map[any]int                       // entries of each peer
	peers   map[remote]*observerPeer
	groups  map[netip.AddrPort]*leisurePeriod
	plain   int // entries of strangers
	total   int
	ready   []*observer // for a worker
	sweep   clock.Timer
	stopped bool

	wake chan struct{}
}

type observerKey struct {
	addr  remote
	who   any
	token string
}

// observer is one entry. Its mutable fields are guarded by observers.mu.
type observer struct {
	key   observerKey
	path  string
	group netip.AddrPort // of the request, if it was sent to one
	peer  Peer
	req   message.Message // a copy
	o     *Opened         // nil if plain
	sock  *socket
	from  netip.Addr
	room  int // of a notification while the address is not validated; 0: no limit

	active bool // the registration was answered
	gone   bool
	busy   bool
	dirty  bool
	give   func(Peer) (Notification, bool) // nil: the handler runs again
	word   *Notification                   // the last, if the observation is to end
	last   time.Time                       // registered, or a notification was acknowledged
	unsure int                             // notifications since then
	proven bool                            // one was acknowledged since the registration
	format int                             // Content-Format of the first response + 1; 0: not known
	key2   transmissionKey                 // of what is outstanding, or was sent last
	watch  bool                            // a transmission is registered under key2
	con    bool                            // and is confirmable

	// Of an interrupted confirmable notification, for the one that takes its
	// place (RFC 7641, Section 4.5.2).
	retries int
	timeout time.Duration
}

// observerPeer schedules the notifications to one address.
type observerPeer struct {
	entries     int
	outstanding int
	waiting     []*observer
	rtt         time.Duration // 0: not known
}

func newObservers(e *Endpoint) *observers {
	n := &observers{
		e:       e,
		entries: make(map[observerKey]*observer),
		paths:   make(map[string]map[*observer]struct{}),
		shares:  make(map[any]int),
		peers:   make(map[remote]*observerPeer),
		groups:  make(map[netip.AddrPort]*leisurePeriod),
		wake:    make(chan struct{}, e.cfg.Workers),
	}
	// Sixteen in a second, so that the values of the next process are above.
	n.seq.Store(uint32(e.cfg.Clock.Now().UnixMilli() >> 6))
	return n
}

// option is the next Observe option: 24 bits that grow with each response
// (RFC 7641, Section 3.4).
func (n *observers) option() message.Option {
	return message.Option{ID: message.Observe, Value: coapmsg.EncodeUint(n.seq.Add(1) & 0xffffff)}
}

// serveObserve looks at the Observe option of a request. It is ignored with
// methods that cannot be observed, and if there is no room (RFC 7641,
// Section 4.1).
func (e *Endpoint) serveObserve(a *ask) {
	v, _ := coapmsg.Get(a.m.Options, message.Observe)
	value, err := coapmsg.DecodeUint(v)
	if err != nil || !isSafe(a.m.Code) {
		return
	}
	switch value {
	case 0:
		ob := e.observers.register(a)
		if ob != nil && ob.sock.conn != nil && !e.conns.holds(ob.sock) {
			e.observers.discard(ob, true) // dropSocket came too early for it
			ob = nil
		}
		a.observer = ob
	case 1:
		e.observers.deregister(a)
	}
}

// observed is the request as it is observed: an Echo option says nothing of the
// resource.
func (a *ask) observed() message.Message {
	m := a.m
	m.Options = coapmsg.Without(m.Options, coapmsg.Echo)
	return m
}

func (a *ask) observerKey() observerKey {
	return observerKey{a.f.d.remote(), a.who(), string(a.f.token)}
}

// register prepares an entry; nil if there is no room. The entry notes changes
// at once, so that none is lost between the handler and the response.
func (n *observers) register(a *ask) *observer {
	ob := &observer{
		key: a.observerKey(), path: pathOf(a.m.Options), peer: a.peer, o: a.o, req: copyMessage(a.observed()),
		sock: n.e.answerSocket(a.f.d), from: n.e.answerAddr(a.f.d), last: n.e.cfg.Clock.Now(),
	}
	if a.f.multicast() {
		ob.group = a.f.d.sock.local
	}
	if n.e.limited(a) {
		ob.room = n.e.allowance(a.f)
	}
	share := accounted(a.who())
	n.mu.Lock()
	defer n.mu.Unlock()
	again := n.entries[ob.key] != nil
	switch {
	case n.stopped:
		return nil
	case again:
	case n.total >= n.e.cfg.Observations || n.shares[share] >= n.e.cfg.ObservationsPerPeer:
		n.e.drop(DropObserver)
		return nil
	case a.o == nil && n.plain >= max(1, n.e.cfg.Observations/plainShare):
		n.e.drop(DropObserver)
		return nil
	}
	n.count(ob, 1)
	p := n.peers[ob.key.addr]
	if p == nil {
		p = &observerPeer{}
		n.peers[ob.key.addr] = p
	}
	p.entries++
	if n.paths[ob.path] == nil {
		n.paths[ob.path] = make(map[*observer]struct{})
	}
	n.paths[ob.path][ob] = struct{}{}
	return ob
}

func (n *observers) count(ob *observer, by int) {
	n.total += by
	if ob.o == nil {
		n.plain += by
	}
	share := accounted(ob.key.who)
	if n.shares[share] += by; n.shares[share] <= 0 {
		delete(n.shares, share)
	}
}

// place puts an entry in its place, before its registration is answered; it
// replaces an earlier one of the same client and token.
func (n *observers) place(ob *observer) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if ob.gone {
		return
	}
	if old := n.entries[ob.key]; old != nil {
		ob.proven, ob.unsure = old.proven, old.unsure
		n.remove(old)
	}
	n.entries[ob.key] = ob
	n.armSweep()
}

// activate lets an entry be notified, now that its registration was answered.
func (n *observers) activate(ob *observer) {
	n.mu.Lock()
	defer n.mu.Unlock()
	ob.active = true
	n.schedule(ob)
}

// discard drops an entry that was not accepted; refused says that the one it
// was to renew is over as well (RFC 7641, Section 4.1). ob may be nil.
func (n *observers) discard(ob *observer, refused bool) {
	if ob == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.remove(ob)
	if old := n.entries[ob.key]; old != nil && refused {
		n.remove(old)
	}
}

// deregister removes the entry that a request with Observe 1 names. Its other
// options have to be those of the registration (RFC 7641, Section 3.6).
func (n *observers) deregister(a *ask) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if ob := n.entries[a.observerKey()]; ob != nil && coapmsg.SameObservation(ob.req, a.observed()) {
		n.remove(ob)
	}
}

// remove forgets an entry, and what is outstanding of it. n.mu is held.
func (n *observers) remove(ob *observer) {
	if ob.gone {
		return
	}
	ob.gone = true
	if n.entries[ob.key] == ob {
		delete(n.entries, ob.key)
	}
	n.count(ob, -1)
	delete(n.paths[ob.path], ob)
	if len(n.paths[ob.path]) == 0 {
		delete(n.paths, ob.path)
	}
	p := n.peers[ob.key.addr]
	p.entries--
	if ob.watch {
		n.e.transmit.cancel(ob.key2)
		ob.watch = false
		if ob.con {
			n.release(ob)
		}
	}
	n.forgetPeer(ob.key.addr, p)
}

// forgetPeer drops what is known of an address that nobody observes from.
func (n *observers) forgetPeer(addr remote, p *observerPeer) {
	if p.entries == 0 && p.outstanding == 0 && len(p.waiting) == 0 {
		delete(n.peers, addr)
	}
}

// drop removes the entries that match.
func (n *observers) drop(match func(*observer) bool) (count int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, at := range n.paths { // also those being registered
		for ob := range at {
			if match(ob) {
				count++
				n.remove(ob)
			}
		}
	}
	return count
}

// dropSocket removes the observers that are reached by a socket that closed.
func (n *observers) dropSocket(s *socket) { n.drop(func(ob *observer) bool { return ob.sock == s }) }

// Observers returns how many observations of other endpoints this one serves.
func (e *Endpoint) Observers() int {
	e.observers.mu.Lock()
	defer e.observers.mu.Unlock()
	return len(e.observers.entries)
}

// ForgetObservers ends observations without telling the clients, such as those
// of a security context that is no more, and returns how many matched.
func (e *Endpoint) ForgetObservers(match func(Peer) bool) int {
	return e.observers.drop(func(ob *observer) bool { return match(ob.peer) })
}

// armSweep has clients asked from time to time whether they are still there. n.mu
// is held.
func (n *observers) armSweep() {
	if n.sweep == nil && !n.stopped {
		n.sweep = n.e.cfg.Clock.AfterFunc(confirmAfter/8, n.sweepNow)
	}
}

// sweepNow notifies those of whom nothing was heard for confirmAfter, by a
// confirmable message (RFC 7641, Section 4.5).
func (n *observers) sweepNow() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sweep = nil
	now := n.e.cfg.Clock.Now()
	for _, ob := range n.entries {
		if now.Sub(ob.last) >= confirmAfter && !ob.dirty {
			n.change(ob, nil)
		}
	}
	if len(n.entries) > 0 {
		n.armSweep()
	}
}

func (n *observers) close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.stopped = true
	if n.sweep != nil {
		n.sweep.Stop()
	}
	for _, g := range n.groups {
		g.stop()
	}
}

// pathOf is the path of a request as Notify names it.
func pathOf(opts message.Options) string {
	path := make([]byte, 0, 64)
	for _, o := range opts {
		if o.ID == message.URIPath {
			path = append(append(path, '/'), o.Value...)
		}
	}
	if len(path) == 0 {
		return "/"
	}
	return string(path)
}

// copyMessage copies code, options and payload, in one piece of memory.
func copyMessage(m message.Message) message.Message {
	size := len(m.Payload)
	for _, o := range m.Options {
		size += len(o.Value)
	}
	buf := make([]byte, 0, size)
	out := message.Message{Code: m.Code, Options: make(message.Options, len(m.Options)), Type: message.Unset, MessageID: -1}
	for i, o := range m.Options {
		buf = append(buf, o.Value...)
		out.Options[i] = message.Option{ID: o.ID, Value: buf[len(buf)-len(o.Value) : len(buf) : len(buf)]}
	}
	if len(m.Payload) > 0 {
		buf = append(buf, m.Payload...)
		out.Payload = buf[len(buf)-len(m.Payload):]
	}
	return out
}

// sameFormat says whether a notification has the Content-Format that the first
// one had; if not, the observation ends with 4.06 (RFC 7641, Section 4.2).
func (ob *observer) sameFormat(resp message.Message) bool {
	v, ok := coapmsg.Get(resp.Options, message.ContentFormat)
	f, err := coapmsg.DecodeUint(v)
	if !ok || err != nil || resp.Code != codes.Content {
		return true
	}
	if ob.format == 0 {
		ob.format = int(f) + 1
	}
	return ob.format == int(f)+1
}
