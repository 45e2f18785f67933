package endpoint

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
)

// connections are the TCP connections and DTLS sessions of an endpoint.
type connections struct {
	e *Endpoint

	mu      sync.Mutex
	all     map[*socket]struct{}
	named   map[connKey]*socket // the one that requests to an address leave by
	dials   map[connKey]*dial
	count   [numVias]int // open and being opened
	hosts   map[connHost]int
	next    uint64
	stopped bool
}

// holds says whether a connection has not ended.
func (t *connections) holds(s *socket) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, ok := t.all[s]
	return ok
}

type connKey struct {
	via  Via
	addr netip.AddrPort
}

// connHost is who may have only some of the connections.
type connHost struct {
	via  Via
	host netip.Prefix
}

// dial is a connection that is being opened, for all who want it.
type dial struct {
	done chan struct{}
	s    *socket
	err  error
}

var errTooMany = errors.New("too many connections")

func newConnections(e *Endpoint) *connections {
	return &connections{
		e: e, all: make(map[*socket]struct{}), named: make(map[connKey]*socket), dials: make(map[connKey]*dial), hosts: make(map[connHost]int),
	}
}

// limits are how many connections there may be, and how many of one host.
func (t *connections) limits(v Via) (all, perHost int) {
	if v == ViaDTLS {
		return t.e.cfg.DTLS.MaxSessions, t.e.cfg.DTLS.PerHost
	}
	return t.e.cfg.TCP.MaxConnections, t.e.cfg.TCP.PerHost
}

func hostOf(v Via, a netip.Addr) connHost {
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, _ := a.WithZone("").Prefix(bits)
	return connHost{v, p}
}

// add admits a connection that the remote opened.
func (t *connections) add(s *socket) error {
	victim, err := t.admit(s)
	if victim != nil {
		victim.conn.stop(errTooMany)
	}
	return err
}

// admit is add; the victim has to go.
func (t *connections) admit(s *socket) (victim *socket, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	host := hostOf(s.conn.via, s.conn.addr.Addr())
	_, perHost := t.limits(s.conn.via)
	switch {
	case t.stopped:
		return nil, ErrClosed
	case t.hosts[host] >= perHost:
		return nil, fmt.Errorf("%w of one host", errTooMany)
	}
	victim, ok := t.makeRoom(s.conn.via)
	if !ok {
		return nil, errTooMany
	}
	t.count[s.conn.via]++
	t.hosts[host]++
	t.enter(s)
	return victim, nil
}

// enter makes s one of the connections. t.mu is held.
func (t *connections) enter(s *socket) {
	t.next++
	s.id = t.next
	s.conn.touch(t.e.cfg.Clock.Now())
	t.all[s] = struct{}{}
	t.named[connKey{s.conn.via, s.conn.addr}] = s
}

// makeRoom sees to it that one more is below the limit. The victim is the one
// that has been idle for longest, if there has to be one; it is forgotten here
// and ended by the caller. t.mu is held.
func (t *connections) makeRoom(v Via) (victim *socket, ok bool) {
	all, _ := t.limits(v)
	if t.count[v] < all {
		return nil, true
	}
	var oldest *socket
	for s := range t.all {
		if s.conn.via == v && !t.e.inUse(s) && (oldest == nil || s.conn.used.Load() < oldest.conn.used.Load()) {
			oldest = s
		}
	}
	if oldest == nil || t.e.cfg.Clock.Now().UnixNano()-oldest.conn.used.Load() < int64(leastIdle) {
		return nil, false
	}
	t.e.drop(DropConnection)
	t.leave(oldest)
	return oldest, true
}

// remove forgets a connection.
func (t *connections) remove(s *socket) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.leave(s)
}

// leave is remove under the lock.
func (t *connections) leave(s *socket) {
	if _, there := t.all[s]; !there {
		return
	}
	delete(t.all, s)
	t.count[s.conn.via]--
	if !s.conn.dialed {
		host := hostOf(s.conn.via, s.conn.addr.Addr())
		if t.hosts[host]--; t.hosts[host] <= 0 {
			delete(t.hosts, host)
		}
	}
	t.unname(s)
}

func (t *connections) unname(s *socket) {
	if key := (connKey{s.conn.via, s.conn.addr}); t.named[key] == s {
		delete(t.named, key)
	}
}

// release sees to it that no request is begun on a connection.
func (t *connections) release(s *socket) {
	s.conn.released.Store(true)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.unname(s)
}

// get returns the connection to an address, opened now if there is none.
func (t *connections) get(ctx context.Context, via Via, to netip.AddrPort) (*socket, error) {
	key := connKey{via, to}
	t.mu.Lock()
	if s := t.named[key]; s != nil {
		t.mu.Unlock()
		return s, nil
	}
	d := t.dials[key]
	if d == nil {
		if t.stopped {
			t.mu.Unlock()
			return nil, ErrClosed
		}
		victim, ok := t.makeRoom(via)
		if !ok {
			t.mu.Unlock()
			return nil, fmt.Errorf("%w: %w", ErrBusy, errTooMany)
		}
		if victim != nil {
			defer victim.conn.stop(errTooMany)
		}
		t.count[via]++
		d = &dial{done: make(chan struct{})}
		t.dials[key] = d
		t.e.wg.Go(func() { t.open(d, key) })
	}
	t.mu.Unlock()
	select {
	case <-d.done:
		return d.s, d.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// open opens a connection for whoever waits for d. It is open when the peer has
// said what it takes.
func (t *connections) open(d *dial, key connKey) {
	s, err := t.e.dial(key)
	t.mu.Lock()
	delete(t.dials, key)
	switch {
	case err != nil:
		t.count[key.via]--
		d.err = fmt.Errorf("%s: %w: %w", key.addr, ErrConnection, err)
	case t.stopped:
		t.count[key.via]--
		d.err = ErrClosed
	default:
		d.s = s
		t.enter(s)
	}
	t.mu.Unlock()
	if d.s == nil && s != nil {
		s.conn.stop(d.err)
	}
	close(d.done)
	if d.s == nil {
		return
	}
	if s.conn.run != nil {
		t.e.wg.Go(s.conn.run)
	} else if s.conn.stream.isDone() {
		t.remove(s) // it ended before it was entered
	}
}

// dial opens a connection, up to the point where it can be used.
func (e *Endpoint) dial(key connKey) (*socket, error) {
	patience := e.cfg.TCP.Patience
	if key.via == ViaDTLS {
		patience = e.cfg.DTLS.Patience
	}
	ctx, cancel := context.WithTimeout(e.ctx, patience)
	defer cancel()
	if key.via == ViaDTLS {
		return e.dialDTLS(ctx, key.addr)
	}
	s, err := e.dialTCP(ctx, key.addr)
	if err != nil {
		return nil, err
	}
	s.conn.stream.start()
	if err := s.conn.stream.greeted(ctx); err != nil {
		s.conn.stop(err)
		return nil, err
	}
	return s, nil
}

// stop ends all, telling the remotes.
func (t *connections) stop() {
	t.mu.Lock()
	t.stopped = true
	var all []*socket
	for s := range t.all {
		all = append(all, s)
	}
	t.mu.Unlock()
	var wg sync.WaitGroup
	for _, s := range all {
		wg.Go(func() { s.conn.stop(ErrClosed) })
	}
	wg.Wait()
}
