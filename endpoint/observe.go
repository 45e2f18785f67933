package endpoint

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"sync"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"

	"github.com/cohort-iot/cohort/internal/clock"
	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// ErrObservationEnded is the last error of Observe when the server does not
// observe any more, or did not begin to.
var ErrObservationEnded = errors.New("the server ended the observation")

// ErrStale is yielded by Observe when what was yielded last is older than its
// Max-Age and the server does not answer. The observation goes on, and asks
// again from time to time.
var ErrStale = errors.New("the representation is out of date and the server does not answer")

// Observe registers for a resource, with GET or FETCH, and yields its
// representation now and whenever it changes (RFC 7641). What it yields is
// always the newest: if the caller is slow, or messages overtake each other,
// older states are left out. Long representations are fetched whole.
//
// The registration is renewed when a representation comes to its Max-Age, and
// from time to time anyway. It ends
//   - when ctx ends or the caller stops; then the server is told;
//   - when the server ends it, by an error or a response without Observe: this is
//     yielded too, and after it ErrObservationEnded.
//
// Other errors before the first representation are the last. Later ones say that
// there is no news (ErrStale); the caller may stop, or go on.
//
// If r.To is a group, all its members are observed, each for itself
// (draft-ietf-core-groupcomm-bis, Section 3.7): Response.Peer tells them apart.
// Then the observation goes on when members end it.
func (e *Endpoint) Observe(ctx context.Context, r Request) iter.Seq2[*Response, error] {
	return func(yield func(*Response, error) bool) {
		o, err := e.newObservation(ctx, r)
		if err != nil {
			yield(nil, err)
			return
		}
		defer o.end()
		for {
			resp, err, last := o.next(ctx)
			if resp == nil && err == nil {
				return
			}
			if !yield(resp, err) || last {
				return
			}
		}
	}
}

// observation is an observation of one resource of another endpoint, or of all
// members of a group. One goroutine takes the arrivals; it alone uses what is
// not guarded by mu.
type observation struct {
	e      *Endpoint
	r      Request
	m      message.Message // the registration, unprotected
	multi  bool
	x      *exchange   // has the token and the channel
	group  []*exchange // registrations that were sent to the group, newest first
	byKey  map[string]*observed
	byAddr map[netip.AddrPort]*observed

	ctx     context.Context
	cancel  context.CancelFunc
	wg      sync.WaitGroup
	started chan registration
	fetched chan fetched
	slots   chan struct{} // of fetches
	wake    chan struct{} // a timer, or failures
	timer   clock.Timer
	closing bool

	mu       sync.Mutex
	failures []failure
	queue    []*observed // with news, in the order of its arrival
	errs     []error
	over     error         // why there will be no more
	ready    chan struct{} // something of these changed
}

// observed is one server of an observation.
type observed struct {
	peer     Peer
	attempts []*exchange // registrations that were sent to it alone, newest first
	current  *exchange   // the newest that it answered
	heard    bool        // a representation came
	ended    bool
	echoed   bool

	seq  uint32 // of plain notifications: RFC 7641, Section 3.4
	at   time.Time
	gids []string // under which it answered, the present one last

	due      time.Time // of the next registration
	renewed  time.Time
	failed   int  // registrations in a row
	lost     bool // with its connection, and its token
	starting bool // one waits to be sent
	waiting  bool // one waits for its answer

	fetch int // number of the representation that is being fetched
	stop  context.CancelFunc

	news   *Response // guarded by observation.mu
	queued bool      // likewise
}

// registration is an attempt to register that was sent.
type registration struct {
	s   *observed // nil: to the group
	x   *exchange
	err error
}

type failure struct {
	x   *exchange
	err error
}

type fetched struct {
	s    *observed
	n    int
	resp *Response
	err  error
}

func (e *Endpoint) newObservation(ctx context.Context, r Request) (*observation, error) {
	if !isSafe(r.Code) {
		return nil, fmt.Errorf("%w: %s cannot observe", ErrRequest, coapmsg.CodeString(r.Code))
	}
	multi := r.To.Addr().IsMulticast()
	if multi && r.Security == nil && !e.cfg.InsecurePlainMulticast {
		return nil, ErrInsecureMulticast
	}
	r.Options = setOption(r.Options, message.Option{ID: message.Observe})
	m, err := r.groupMessage(e) // one message, also to a single server
	if err != nil {
		return nil, err
	}
	o := &observation{
		e: e, r: r, m: m, multi: multi, byKey: make(map[string]*observed), byAddr: make(map[netip.AddrPort]*observed),
		started: make(chan registration), fetched: make(chan fetched), slots: make(chan struct{}, followUps),
		wake: make(chan struct{}, 1), ready: make(chan struct{}, 1),
	}
	if o.x, err = e.begin(ctx, &r, m, nil, &hooks{fail: o.fail}); err != nil {
		return nil, err
	}
	o.ctx, o.cancel = context.WithCancel(e.ctx)
	if multi {
		o.group = []*exchange{o.x}
	} else {
		s := o.server("", Peer{Addr: r.To})
		s.attempts, s.waiting = []*exchange{o.x}, true
	}
	o.began(nil, o.x)
	o.wg.Go(o.run)
	return o, nil
}

// began sees to what a registration needs that was just sent.
func (o *observation) began(s *observed, x *exchange) {
	e := o.e
	if o.multi && s == nil {
		// The group is asked for this long, so far as NSTART is concerned.
		x.timer = e.cfg.Clock.AfterFunc(e.cfg.Leisure+collectSlack, func() { e.release(x) })
		return
	}
	x.timer = e.cfg.Clock.AfterFunc(e.cfg.exchangeLifetime(), func() {
		e.release(x)
		o.fail(x, ErrNoResponse)
	})
}

// server returns the state of a server, and makes it if it is new; nil if there
// are too many.
func (o *observation) server(key string, p Peer) *observed {
	s := o.byKey[key]
	if s == nil {
		if len(o.byKey) >= o.e.cfg.ResponseQueue {
			return nil
		}
		s = &observed{}
		o.byKey[key] = s
	}
	s.peer = p
	o.byAddr[p.Addr] = s
	return s
}

// run takes what arrives until the observation is over.
func (o *observation) run() {
	for {
		select {
		case a := <-o.x.ch:
			o.arrived(a)
		case reg := <-o.started:
			o.register(reg)
		case f := <-o.fetched:
			<-o.slots
			o.whole(f)
		case <-o.wake:
			o.failuresAndTimes()
		case <-o.ctx.Done():
			return
		}
		o.arm()
	}
}
