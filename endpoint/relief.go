package endpoint

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"
)

// outlet is where the requests of one call leave by: all of them by the socket
// of the first, since to a stranger another port is another client.
type outlet struct {
	relief *socket // nil: the usual one
	fixed  bool
}

// number gives a request a place among the outstanding ones and its Message ID,
// and waits until there are both. Where it can, the request leaves by a relief
// socket instead. It has no place while it waits for a Message ID, so that others
// go on.
func (e *Endpoint) number(ctx context.Context, r *Request, x *exchange) (*gatePeer, error) {
	for {
		place, err := e.nstart.enter(ctx, e.ctx, x.to)
		if err != nil || x.sock.stream() {
			return place, err
		}
		wait := e.tryNumber(r, x)
		if wait == 0 {
			return place, nil
		}
		e.nstart.leave(x.to)
		later, stop := e.after(wait)
		select {
		case <-later:
		case <-ctx.Done():
			stop()
			return nil, fmt.Errorf("%s: no Message ID is free: %w", r.To, ctx.Err())
		case <-e.ctx.Done():
			stop()
			return nil, ErrClosed
		}
	}
}

// tryNumber is number without a wait: it says when to try again, 0 if the request
// has its Message ID.
func (e *Endpoint) tryNumber(r *Request, x *exchange) (wait time.Duration) {
	o := r.outlet
	if o != nil && o.relief != nil {
		x.sock = o.relief
	}
	movable := o != nil && !o.fixed && x.sock.conn == nil
	for {
		if x.key, wait = e.transmit.number(x.sock, x.to, r.confirmable(), movable); wait == 0 {
			if o != nil {
				o.fixed = true
			}
			return 0
		}
		if !movable {
			return wait
		}
		s, err := e.relief.enter(o, x.sock)
		if err != nil {
			return min(wait, reliefRetry)
		}
		x.sock = s
	}
}

// reliefs are sockets with ports of their own, for requests to peers whose
// Message IDs on the usual socket are used up (RFC 7252, Section 4.4: they belong
// to a pair of endpoints). When they are used up there too, another one takes its
// place, and it is closed when nobody needs it any more.
type reliefs struct {
	e *Endpoint

	mu      sync.Mutex
	current map[bool]*socket // by address family: IPv4
	open    map[*socket]struct{}
	former  []formerPort // oldest first
	ending  int          // open ones that nobody uses any more
	stopped bool
}

// reliefRetry is how long a call waits for others to leave their relief sockets
// before it looks again.
const reliefRetry = time.Second

// maxOpenReliefs bounds relief sockets, with those that only wait for what comes
// late.
const maxOpenReliefs = 4 * maxReliefs

// formerPort is a port whose Message IDs must not be used again yet.
type formerPort struct {
	port  uint16
	until time.Time
}

// reliefUse is what a relief socket has beyond a socket.
type reliefUse struct {
	users   int
	retired bool
}

func newReliefs(e *Endpoint) *reliefs {
	return &reliefs{e: e, current: make(map[bool]*socket), open: make(map[*socket]struct{})}
}

var errNoRelief = errors.New("no further socket")

// enter gives a call the present relief socket, or another one if that is the one
// that was used up.
func (r *reliefs) enter(o *outlet, used *socket) (*socket, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v4 := used.local.Addr().Is4()
	s := r.current[v4]
	if s == nil || s == used {
		var err error
		if s, err = r.listen(used.local.Addr()); err != nil {
			r.e.cfg.Log.Debug("no relief socket", "error", err)
			return nil, err
		}
		if old := r.current[v4]; old != nil {
			old.relief.retired = true
		}
		r.current[v4] = s
	}
	s.relief.users++
	if o.relief != nil {
		r.drop(o.relief)
	}
	o.relief = s
	return s, nil
}

// listen opens a socket on a port that was not used for a while.
func (r *reliefs) listen(addr netip.Addr) (*socket, error) {
	if r.stopped || len(r.open)-r.ending >= maxReliefs || len(r.open) >= maxOpenReliefs {
		return nil, errNoRelief
	}
	now := r.e.cfg.Clock.Now()
	for len(r.former) > 0 && !now.Before(r.former[0].until) {
		r.former = r.former[1:]
	}
	if len(r.former) >= maxFormerPorts {
		return nil, errNoRelief
	}
	var recent []Transport
	defer func() {
		for _, t := range recent {
			t.Close()
		}
	}()
	for range reliefTries {
		t, err := r.e.cfg.Network.Listen(netip.AddrPortFrom(addr, 0))
		if err != nil {
			return nil, err
		}
		if r.wasUsed(t.LocalAddr().Port()) {
			recent = append(recent, t)
			continue
		}
		s := &socket{Transport: t, local: t.LocalAddr(), relief: &reliefUse{}}
		r.open[s] = struct{}{}
		r.e.wg.Go(func() { r.e.read(s) })
		return s, nil
	}
	return nil, errNoRelief
}

func (r *reliefs) wasUsed(port uint16) bool {
	for _, p := range r.former {
		if p.port == port {
			return true
		}
	}
	return false
}

// leave ends the use of a relief socket by a call, if it had one.
func (r *reliefs) leave(o *outlet) {
	if o.relief == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.drop(o.relief)
}

// drop takes a user from a socket. One that is retired stays open for a little,
// for what comes late. r.mu is held.
func (r *reliefs) drop(s *socket) {
	s.relief.users--
	if s.relief.users > 0 || !s.relief.retired {
		return
	}
	r.ending++
	r.e.cfg.Clock.AfterFunc(reliefLinger, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if _, open := r.open[s]; open {
			delete(r.open, s)
			r.ending--
			r.former = append(r.former, formerPort{s.local.Port(), r.e.cfg.Clock.Now().Add(r.e.cfg.exchangeLifetime())})
			s.Close()
		}
	})
}

// stop closes all.
func (r *reliefs) stop() (errs []error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopped = true
	for s := range r.open {
		errs = append(errs, s.Close())
		delete(r.open, s)
	}
	return errs
}
