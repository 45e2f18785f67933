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

	"github.com/cohort-iot/cohort/grouposcore"
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

// arrived opens what came with the token of the observation, under the
// registrations that it can belong to.
func (o *observation) arrived(a arrival) {
	e := o.e
	m, ok := e.parseArrival(a)
	if !ok {
		return
	}
	candidates := o.group
	if s := o.byAddr[a.from]; s != nil {
		candidates = append(append([]*exchange{}, s.attempts...), o.group...)
	}
	_, n := coapmsg.FindOSCORE(m.Options)
	var last error
	for _, x := range candidates {
		if x.opener == nil || n == 0 {
			// Either both are plain, or openMessage says what this is.
			resp, err := e.openMessage(x, m, a)
			o.opened(x, resp, err, m.Type == message.Acknowledgement || a.sock.stream())
			return
		}
		in, peer, err := x.opener.OpenResponse(m, a.at)
		if err == nil {
			if unsupported(in.Options) {
				e.drop(DropCriticalOption)
				return
			}
			peer.Addr = a.from
			e.prober.answered(x.to.addr)
			o.opened(x, response(in, peer, a), nil, false)
			return
		}
		if errors.Is(err, ErrAgain) {
			o.opened(x, nil, err, false)
			return
		}
		last = err
	}
	switch {
	case last == nil:
		e.drop(DropUnexpected)
		return
	case errors.Is(last, grouposcore.ErrNotMember):
		o.finish(last)
	}
	e.unopenedResponse(o.x, a, last)
}

// opened takes a response that verified under the registration x, or that made
// openMessage return an error. piggybacked says that a plain one came in the
// acknowledgement of the registration, or in a connection.
func (o *observation) opened(x *exchange, resp *Response, err error, piggybacked bool) {
	e := o.e
	if resp == nil && err == nil {
		return
	}
	e.release(x)
	if resp == nil {
		s := o.byKey[""]
		switch {
		case o.multi:
		case errors.Is(err, ErrAgain) && s.current == nil:
			o.again(s, o.m)
		case s.current != x:
			o.finish(err) // an answer in clear to a registration
		default:
			e.drop(DropUnverified)
		}
		return
	}
	key := ""
	if o.multi {
		key = observedKey(&resp.Peer)
	}
	s := o.server(key, resp.Peer)
	if s == nil {
		e.drop(DropResponseQueue)
		return
	}
	if echo := challenge(resp); echo != nil && !s.echoed {
		s.echoed = true
		m := o.m
		m.Options = setOption(m.Options, message.Option{ID: coapmsg.Echo, Value: echo})
		o.again(s, m)
		return
	}
	if !o.newer(s, x, resp, piggybacked) {
		e.drop(DropStale)
		return
	}
	o.news(s, resp)
}

// observedKey tells the servers of a group apart: by credential if there is
// one, as Sender IDs change.
func observedKey(p *Peer) string {
	switch {
	case p.Credential != nil:
		return "c" + string(p.Credential.Bytes())
	case p.Mode != Plain:
		return "k" + string(p.SenderID)
	}
	return "a" + p.Addr.String()
}

// newer decides whether a response is newer than what came before from the same
// server. What answers a later registration is. Under one registration,
// protected responses are in order already: their openers see to it (RFC 8613,
// Section 7.4.1); plain ones go by RFC 7641, Section 3.4, unless they came in the
// acknowledgement of a later registration.
func (o *observation) newer(s *observed, x *exchange, resp *Response, piggybacked bool) bool {
	if x != s.current && s.current != nil && x.serial < s.current.serial {
		return false
	}
	if v, ok := observeValue(resp); ok && resp.Peer.Mode == Plain {
		if s.heard && (x == s.current || !piggybacked) && !fresher(s.seq, s.at, v, resp.Received) {
			return false
		}
		s.seq, s.at = v, resp.Received
	}
	if !s.inEpoch(string(resp.Peer.Gid)) {
		return false
	}
	if x != s.current {
		o.supersede(s, x)
		s.failed, s.waiting, s.echoed, s.renewed = 0, false, false, resp.Received
	}
	s.heard = true
	return true
}

// inEpoch notes the Gid of a response. What comes under a former one after a
// rekey is older than what came under the present one
// (draft-ietf-core-oscore-groupcomm, Section 5.3.1).
func (s *observed) inEpoch(gid string) bool {
	for i, known := range s.gids {
		if known == gid {
			return i == len(s.gids)-1
		}
	}
	if len(s.gids) == keptGids {
		s.gids = append(s.gids[:0], s.gids[1:]...)
	}
	s.gids = append(s.gids, gid)
	return true
}

// keptGids is how many Gids of one server are told apart.
const keptGids = 4

func observeValue(resp *Response) (uint32, bool) {
	v, ok := coapmsg.Get(resp.Options, message.Observe)
	n, err := coapmsg.DecodeUint(v)
	return n, ok && err == nil
}

// fresher is the rule of RFC 7641, Section 3.4.
func fresher(v1 uint32, t1 time.Time, v2 uint32, t2 time.Time) bool {
	return v1 < v2 && v2-v1 < 1<<23 || v1 > v2 && v1-v2 > 1<<23 || t2.After(t1.Add(128*time.Second))
}

// supersede makes x the registration of a server that counts.
func (o *observation) supersede(s *observed, x *exchange) {
	s.current = x
	kept := s.attempts[:0]
	for _, old := range s.attempts {
		if old.serial >= x.serial {
			kept = append(kept, old)
		} else if old != o.x {
			o.e.end(old)
		}
	}
	s.attempts = kept
}

// news takes a response that is the newest of its server.
func (o *observation) news(s *observed, resp *Response) {
	if s.stop != nil {
		s.stop() // what is being fetched is old
		s.stop = nil
	}
	s.fetch++
	_, observing := observeValue(resp)
	s.ended = !observing || !coapmsg.IsSuccess(resp.Code)
	s.due = time.Time{}
	if !s.ended {
		s.due = o.expiry(s, resp)
	}
	if b, ok := getBlock(resp.Options, message.Block2); ok && b != nil && !byHand(o.m.Options) {
		o.complete(s, resp)
		return
	}
	o.deliver(s, resp)
}

// expiry is when the next registration is due: some time after Max-Age, so that
// not all clients come at once (RFC 7641, Section 3.3.1), and regularly, as the
// freshness of notifications weakens (RFC 8613, Section 7.3).
func (o *observation) expiry(s *observed, resp *Response) time.Time {
	age := time.Minute
	if v, ok := coapmsg.Get(resp.Options, message.MaxAge); ok {
		if n, err := coapmsg.DecodeUint(v); err == nil {
			age = time.Duration(n) * time.Second
		}
	}
	slack := time.Duration((5 + 10*o.e.jitter()) * float64(time.Second))
	due := resp.Received.Add(age + slack)
	if latest := s.renewed.Add(renewAfter); due.After(latest) {
		due = latest
	}
	return due
}

// deliver hands a whole response to the caller.
func (o *observation) deliver(s *observed, resp *Response) {
	o.mu.Lock()
	s.news = resp
	if !s.queued {
		s.queued = true
		o.queue = append(o.queue, s)
	}
	if s.ended && !o.multi {
		o.over = ErrObservationEnded
	}
	o.mu.Unlock()
	o.signal()
	if s.ended && !o.multi {
		o.closing = true
	}
}

// finish ends an observation that cannot go on.
func (o *observation) finish(err error) {
	o.mu.Lock()
	if o.over == nil {
		o.over = err
	}
	o.mu.Unlock()
	o.closing = true
	o.signal()
}

func (o *observation) report(err error) {
	o.mu.Lock()
	if len(o.errs) < followUps {
		o.errs = append(o.errs, err)
	}
	o.mu.Unlock()
	o.signal()
}

func (o *observation) signal() {
	select {
	case o.ready <- struct{}{}:
	default:
	}
}

// next waits for news. last says that nothing more comes.
func (o *observation) next(ctx context.Context) (resp *Response, err error, last bool) {
	for {
		o.mu.Lock()
		switch {
		case len(o.queue) > 0:
			s := o.queue[0]
			o.queue = o.queue[1:]
			resp, s.news, s.queued = s.news, nil, false
			o.mu.Unlock()
			return resp, nil, false
		case len(o.errs) > 0:
			err := o.errs[0]
			o.errs = o.errs[1:]
			o.mu.Unlock()
			return nil, err, false
		case o.over != nil:
			err := o.over
			o.mu.Unlock()
			return nil, err, true
		}
		o.mu.Unlock()
		select {
		case <-o.ready:
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return nil, nil, true
			}
			return nil, ctx.Err(), true
		case <-o.e.ctx.Done():
			return nil, ErrClosed, true
		}
	}
}
