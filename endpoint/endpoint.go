package endpoint

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
)

// Endpoint is a CoAP endpoint: client and server on the same sockets. It is
// safe for concurrent use.
type Endpoint struct {
	cfg    Config
	ctx    context.Context // ends with the endpoint
	cancel context.CancelFunc
	wg     sync.WaitGroup

	unicast   []*socket
	listeners []listener
	conns     *connections

	portsMu sync.Mutex
	ports   map[netip.Addr]*port // for sessions that this endpoint opens

	groupsMu sync.Mutex
	groups   map[MulticastGroup]*socket

	secure      *intake // of requests that claim to be protected
	plain       *intake // of the others
	dedup       *dedup
	acks        *ackQueue
	transmit    *transmissions
	tokens      *tokenTable
	plainTokens remoteSet // who knows no long tokens
	recent      *recentSet
	nstart      *gate
	relief      *reliefs
	prober      *prober
	leisure     leisure
	parked      *parking
	echo        *echoes
	szx         uint8         // of the largest blocks
	tag         atomic.Uint32 // the last Request-Tag
	serial      atomic.Uint64 // of the last request

	transfers *transfers
	observers *observers
	addresses *addresses
	requests  messagePool // messages that handlers get
	messages  messagePool // messages that handlers fill

	rngMu sync.Mutex
	rng   *rand.Rand // jitter only; tokens come from cfg.Rand
}

// New opens the sockets of cfg and starts to serve.
func New(cfg Config) (*Endpoint, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("endpoint configuration: %w", err)
	}
	e, err := prepare(cfg.withDefaults())
	if err != nil {
		return nil, err
	}
	if err := e.open(); err != nil {
		e.Close()
		return nil, err
	}
	for range e.cfg.Workers {
		e.wg.Go(e.work)
	}
	return e, nil
}

// prepare makes an endpoint without sockets and workers.
func prepare(cfg Config) (*Endpoint, error) {
	var seed [16]byte
	if _, err := io.ReadFull(cfg.Rand, seed[:]); err != nil {
		return nil, fmt.Errorf("randomness: %w", err)
	}
	e := &Endpoint{
		cfg:    cfg,
		groups: make(map[MulticastGroup]*socket),
		secure: newIntake(cfg.Queue, cfg.Workers, cfg.PerPeer, cfg.Workers),
		plain:  newPlainIntake(&cfg),
		dedup:  newDedup(cfg.DedupEntries, cfg.DedupBytes, cfg.exchangeLifetime(), cfg.nonLifetime()),
		tokens: newTokenTable(cfg.Exchanges),
		recent: newRecentSet(recentResponses),
		nstart: newGate(cfg.NSTART),
		prober: newProber(cfg.ProbingRate, cfg.exchangeLifetime()),
		rng:    rand.New(rand.NewPCG(binary.BigEndian.Uint64(seed[:8]), binary.BigEndian.Uint64(seed[8:]))),
	}
	e.ctx, e.cancel = context.WithCancel(context.Background())
	e.conns = newConnections(e)
	e.relief = newReliefs(e)
	e.acks = newACKQueue(e)
	e.transmit = newTransmissions(e)
	e.parked = newParking(e)
	e.tag.Store(e.rng.Uint32())
	e.szx = szxFor(min(cfg.BlockSize, cfg.MaxUnfragmented-protectedOptions))
	e.transfers = newTransfers(&e.cfg)
	e.observers = newObservers(e)
	var err error
	if e.echo, err = newEchoes(cfg.Rand, cfg.Clock); err != nil {
		return nil, err
	}
	e.addresses = newAddresses(e.echo.key)
	return e, nil
}

func (e *Endpoint) open() error {
	for _, a := range append([]netip.AddrPort{e.cfg.Unicast}, e.cfg.More...) {
		t, err := e.cfg.Network.Listen(a)
		if err != nil {
			return fmt.Errorf("listen on %s: %w", a, err)
		}
		s := &socket{Transport: t, local: t.LocalAddr()}
		e.unicast = append(e.unicast, s)
		e.wg.Go(func() { e.read(s) })
	}
	for _, g := range e.cfg.Groups {
		if err := e.JoinGroup(g); err != nil {
			return err
		}
	}
	if err := e.listenTCP(); err != nil {
		return err
	}
	return e.listenDTLS()
}

// Close closes the sockets, interrupts all calls and waits until the running
// handlers have returned. Their context ends at once.
func (e *Endpoint) Close() error {
	e.cancel()
	var errs []error
	for _, s := range e.unicast {
		errs = append(errs, s.Close())
	}
	errs = append(errs, e.relief.stop()...)
	e.groupsMu.Lock()
	for g, s := range e.groups {
		errs = append(errs, s.Close())
		delete(e.groups, g)
	}
	e.groupsMu.Unlock()
	e.conns.stop()
	for _, l := range e.listeners {
		errs = append(errs, l.Close())
	}
	errs = append(errs, e.closePorts()...)
	e.transmit.stop()
	e.acks.stop()
	e.parked.stop()
	e.transfers.stop()
	e.observers.close()
	e.wg.Wait()
	return errors.Join(errs...)
}

// spawn runs f on a goroutine that Close waits for; false if it is closed.
func (e *Endpoint) spawn(f func()) bool {
	e.groupsMu.Lock()
	defer e.groupsMu.Unlock()
	if e.ctx.Err() != nil {
		return false
	}
	e.wg.Go(f)
	return true
}

// LocalAddr returns the first unicast address, with its real port.
func (e *Endpoint) LocalAddr() netip.AddrPort { return e.unicast[0].local }

// LocalAddrs returns all unicast addresses, in the order of Config.Unicast and
// Config.More.
func (e *Endpoint) LocalAddrs() []netip.AddrPort {
	addrs := make([]netip.AddrPort, len(e.unicast))
	for i, s := range e.unicast {
		addrs[i] = s.local
	}
	return addrs
}

// JoinGroup makes the endpoint a member of a CoAP group. Joining twice is no
// error.
func (e *Endpoint) JoinGroup(g MulticastGroup) error {
	if err := g.validate(); err != nil {
		return err
	}
	e.groupsMu.Lock()
	defer e.groupsMu.Unlock()
	if e.ctx.Err() != nil {
		return ErrClosed
	}
	if e.groups[g] != nil {
		return nil
	}
	t, err := e.cfg.Network.ListenGroup(g.Addr, g.Interface)
	if err != nil {
		return fmt.Errorf("join group %s: %w", g.Addr, err)
	}
	s := &socket{Transport: t, local: t.LocalAddr(), group: true}
	e.groups[g] = s
	e.wg.Go(func() { e.read(s) })
	return nil
}

// LeaveGroup ends a membership. Leaving a group the endpoint is not in is no
// error.
func (e *Endpoint) LeaveGroup(g MulticastGroup) error {
	e.groupsMu.Lock()
	s := e.groups[g]
	delete(e.groups, g)
	e.groupsMu.Unlock()
	if s == nil {
		return nil
	}
	return s.Close()
}

// socketFor returns the unicast socket that can send to an address.
func (e *Endpoint) socketFor(to netip.Addr) *socket {
	for _, s := range e.unicast {
		if s.local.Addr().Is4() == to.Is4() {
			return s
		}
	}
	return e.unicast[0]
}

// send writes a datagram and counts a failure: the network is allowed to lose
// what is sent, so nobody needs to know more.
func (e *Endpoint) send(s *socket, b []byte, to netip.AddrPort, from netip.Addr) {
	if err := s.WriteTo(b, to, from, 0, 0); err != nil && e.ctx.Err() == nil {
		e.cfg.Meter.Dropped(DropUnsent)
		e.cfg.Log.Debug("datagram not sent", "to", to, "error", err)
	}
}

// jitter returns a random float in [0, 1).
func (e *Endpoint) jitter() float64 {
	e.rngMu.Lock()
	defer e.rngMu.Unlock()
	return e.rng.Float64()
}

// drop counts a silent drop.
func (e *Endpoint) drop(r Reason) { e.cfg.Meter.Dropped(r) }
