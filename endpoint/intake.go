package endpoint

import "sync"

// intake is where requests wait for a worker, those of each remote in a lane of
// its own, in the order of arrival. It keeps a lane only for who has requests
// waiting or in work.
//
// Workers take from the lanes by turns. A lane gives its next request only when
// the one before is verified or refused, so that the requests of one remote meet
// their replay window in the order in which they came, however many workers
// there are; handlers run side by side. A lane has no more requests in work than
// places are free, and perLane at most; and all that lanes have in work beside
// their first takes half of the places. So a few with slow requests cannot take
// the last worker from whoever comes.
//
// What waits is bounded in all, not for each lane: who is alone may use all the
// room. When there is none, the longest lane loses its last request, so that
// whoever asks little is not kept out by who asks much.
type intake struct {
	room    int           // what may wait; see cost
	most    int           // requests in work at once
	perLane int           // of one lane
	wake    chan struct{} // rouses workers
	space   chan struct{} // something was taken

	mu      sync.Mutex
	lanes   map[remote]*lane
	spare   *lane // unused ones, by next
	waiting int   // cost of all that waits
	working int
	extra   int   // of these, beside the first of each lane
	first   *lane // that can give a request, in turn
	last    *lane
	held    []*lane // that could, if they had not so many in work already
	levels  []*lane // by the cost of what waits in them
	top     int     // the highest level with a lane; 0: nothing waits
}

// lane is the requests of one remote.
type lane struct {
	from        remote
	first, last *inflight // waiting
	n, cost     int       // of them
	serving     int
	opening     bool // one is being verified
	ready       bool // in the list of the intake
	held        bool
	prev, next  *lane

	up, down *lane // on its level
}

func newIntake(room, most, perLane, workers int) *intake {
	return &intake{
		room: room, most: most, perLane: perLane,
		wake: make(chan struct{}, workers), space: make(chan struct{}, 1), lanes: make(map[remote]*lane),
	}
}

// newPlainIntake is for unprotected requests, which anybody can send from any
// number of addresses: they get only a part of the workers, and a remote only a
// part of these.
func newPlainIntake(cfg *Config) *intake {
	most := max(1, cfg.Workers*3/4)
	return newIntake(cfg.Queue, most, min(cfg.PerPeer, max(1, most*3/4)), cfg.Workers)
}

// cost is the room a request takes: one for each KiB, so that long datagrams do
// not take more memory than there is room for.
func (in *intake) cost(f *inflight) int { return min(in.room, 1+len(f.d.data)>>10) }

// add has a request wait, if there is room. Those that lost their places to it are
// returned, linked by next.
func (in *intake) add(f *inflight) (ok bool, evicted *inflight) {
	from, cost := f.d.remote(), in.cost(f)
	in.mu.Lock()
	defer in.mu.Unlock()
	l := in.lanes[from]
	for in.waiting+cost > in.room {
		own := cost
		if l != nil {
			own += l.cost
		}
		if in.top <= own {
			f.crowded = l != nil && l.n >= in.perLane
			return false, evicted
		}
		v := in.evict(in.levels[in.top])
		v.next, evicted = evicted, v
	}
	if l == nil {
		l = in.newLane(from)
	}
	if f.prev = l.last; f.prev == nil {
		l.first = f
	} else {
		f.prev.next = f
	}
	l.last, f.lane = f, l
	l.n++
	in.weigh(l, cost)
	in.schedule(l)
	return true, evicted
}

// evict takes the last request out of a lane.
func (in *intake) evict(l *lane) *inflight {
	f := l.last
	in.unlink(l, f)
	f.lane, f.crowded = nil, true
	if l.n == 0 {
		in.unready(l)
		in.forget(l)
	}
	return f
}

func (in *intake) unlink(l *lane, f *inflight) {
	if f.prev == nil {
		l.first = f.next
	} else {
		f.prev.next = f.next
	}
	if f.next == nil {
		l.last = f.prev
	} else {
		f.next.prev = f.prev
	}
	f.prev, f.next = nil, nil
	l.n--
	in.weigh(l, -in.cost(f))
}

// take gives a worker the next request, or nil. The worker calls opened, if it
// can before done.
func (in *intake) take() *inflight {
	in.mu.Lock()
	defer in.mu.Unlock()
	l := in.first
	for ; l != nil && in.working < in.most; l = in.first {
		in.unready(l)
		if in.allowed(l) {
			break
		}
		in.hold(l) // places were taken since it was scheduled
	}
	if l == nil || in.working >= in.most {
		return nil
	}
	f := l.first
	in.unlink(l, f)
	l.opening = true
	if l.serving > 0 {
		in.extra++
	}
	l.serving++
	in.working++
	in.rouse()
	select {
	case in.space <- struct{}{}:
	default:
	}
	return f
}

// opened says that f is verified, or will not be: the next of its lane may be.
// Only the first call counts; others may come after done.
func (in *intake) opened(f *inflight) {
	if f.opened || f.lane == nil {
		return
	}
	l := f.lane
	f.opened = true
	in.mu.Lock()
	l.opening = false
	in.schedule(l)
	in.mu.Unlock()
}

// done says that a worker is done with f.
func (in *intake) done(f *inflight) {
	l := f.lane
	if l == nil {
		return
	}
	f.lane = nil
	in.mu.Lock()
	if !f.opened {
		l.opening = false
	}
	if l.serving--; l.serving > 0 {
		in.extra--
	}
	in.working--
	in.schedule(l)
	in.forget(l)
	in.reconsider()
	in.rouse()
	in.mu.Unlock()
}

// allowed says whether a lane may have one more request in work.
func (in *intake) allowed(l *lane) bool {
	return l.serving == 0 || l.serving < in.perLane && l.serving < in.most-in.working && in.extra < in.most/2
}

// hold has a lane wait until places are free. It has requests in work, so there
// are no more such lanes than workers.
func (in *intake) hold(l *lane) {
	if !l.held {
		l.held = true
		in.held = append(in.held, l)
	}
}

// reconsider schedules the lanes that a free place lets go on.
func (in *intake) reconsider() {
	held := in.held
	in.held = in.held[:0]
	for _, l := range held {
		l.held = false
		in.schedule(l) // or it is held again
		in.forget(l)
	}
	clear(held[len(in.held):])
}

// schedule puts a lane into the list of those that can give a request.
func (in *intake) schedule(l *lane) {
	if l.n == 0 || l.opening || l.ready || l.held {
		return
	}
	if !in.allowed(l) {
		in.hold(l)
		return
	}
	l.ready = true
	if l.prev = in.last; l.prev == nil {
		in.first = l
	} else {
		l.prev.next = l
	}
	in.last = l
	in.rouse()
}

// unready takes a lane out of that list.
func (in *intake) unready(l *lane) {
	if !l.ready {
		return
	}
	if l.prev == nil {
		in.first = l.next
	} else {
		l.prev.next = l.next
	}
	if l.next == nil {
		in.last = l.prev
	} else {
		l.next.prev = l.prev
	}
	l.ready, l.prev, l.next = false, nil, nil
}

// rouse wakes a worker, if there is something to do for one. Each that takes a
// request rouses the next.
func (in *intake) rouse() {
	if in.first == nil || in.working >= in.most {
		return
	}
	select {
	case in.wake <- struct{}{}:
	default:
	}
}

// weigh moves a lane to the level of its new cost.
func (in *intake) weigh(l *lane, by int) {
	if l.cost > 0 {
		if l.down == nil {
			in.levels[l.cost] = l.up
		} else {
			l.down.up = l.up
		}
		if l.up != nil {
			l.up.down = l.down
		}
		l.up, l.down = nil, nil
	}
	l.cost += by
	in.waiting += by
	if l.cost > 0 {
		for len(in.levels) <= l.cost {
			in.levels = append(in.levels, nil)
		}
		if l.up = in.levels[l.cost]; l.up != nil {
			l.up.down = l
		}
		in.levels[l.cost] = l
		in.top = max(in.top, l.cost)
	}
	for in.top > 0 && in.levels[in.top] == nil {
		in.top--
	}
}

func (in *intake) newLane(from remote) *lane {
	l := in.spare
	if l == nil {
		l = &lane{}
	} else {
		in.spare = l.next
	}
	*l = lane{from: from}
	in.lanes[from] = l
	return l
}

// forget ends a lane that has nothing left. There are no more spare ones than
// there were lanes at once.
func (in *intake) forget(l *lane) {
	if l.n > 0 || l.serving > 0 || l.held {
		return
	}
	delete(in.lanes, l.from)
	*l = lane{next: in.spare}
	in.spare = l
}
