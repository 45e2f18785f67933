package endpoint

import (
	"net/netip"
	"sync"

	"github.com/plgd-dev/go-coap/v3/message"

	"github.com/cohort-iot/cohort/internal/clock"
)

// parking keeps messages whose sender's credential is not known yet. Nothing
// of them is verified, so there are few places, few of them for one sender,
// and none for long.
type parking struct {
	e      *Endpoint
	resume chan func() // what workers take up again

	mu      sync.Mutex
	senders map[sender][]*parkedMessage
	sources map[netip.Addr]int
	n       int
	stopped bool
}

type sender struct{ gid, id string }

type parkedMessage struct {
	from  netip.Addr
	again func() // run it through the layers again
	drop  func()
	timer clock.Timer
}

func newParking(e *Endpoint) *parking {
	return &parking{e: e, resume: make(chan func(), e.cfg.Parked), senders: make(map[sender][]*parkedMessage), sources: make(map[netip.Addr]int)}
}

// CredentialReady has the messages verified again that wait for the credential
// of this group member. Whoever is told by Config.CredentialWanted calls it
// once the credential can be found.
func (e *Endpoint) CredentialReady(gid, senderID []byte) { e.parked.ready(gid, senderID) }

// request parks a request; false if there is no room.
func (p *parking) request(f *inflight, m message.Message, missing *MissingCredential) bool {
	return p.add(missing, &parkedMessage{
		from: f.d.from.Addr(),
		again: func() {
			select {
			case p.resume <- func() { p.e.process(f, m) }:
			default:
				p.e.drop(DropQueueFull)
				p.e.abandon(f)
			}
		},
		drop: func() { p.e.abandon(f) },
	})
}

// response parks a response.
func (p *parking) response(x *exchange, a arrival, missing *MissingCredential) bool {
	return p.add(missing, &parkedMessage{
		from: a.from.Addr(),
		again: func() {
			select {
			case x.ch <- a:
			default:
				p.e.drop(DropResponseQueue)
			}
		},
		drop: func() {},
	})
}

func (p *parking) add(missing *MissingCredential, m *parkedMessage) bool {
	key := sender{string(missing.Gid), string(missing.SenderID)}
	p.mu.Lock()
	waiting := p.senders[key]
	if p.stopped || p.e.cfg.CredentialWanted == nil || p.n >= p.e.cfg.Parked || len(waiting) >= parkedPerSender ||
		p.sources[m.from] >= max(1, p.e.cfg.Parked/parkedShare) {
		p.mu.Unlock()
		return false
	}
	p.n++
	p.sources[m.from]++
	p.senders[key] = append(waiting, m)
	m.timer = p.e.cfg.Clock.AfterFunc(p.e.cfg.ParkTime, func() { p.expire(key, m) })
	p.mu.Unlock()
	if len(waiting) == 0 {
		p.e.cfg.CredentialWanted([]byte(key.gid), []byte(key.id))
	}
	return true
}

// ready takes up again what waits for a sender.
func (p *parking) ready(gid, id []byte) {
	key := sender{string(gid), string(id)}
	p.mu.Lock()
	waiting := p.senders[key]
	delete(p.senders, key)
	for _, m := range waiting {
		p.freed(m)
	}
	p.mu.Unlock()
	for _, m := range waiting {
		m.timer.Stop()
		m.again()
	}
}

// freed notes that a message waits no longer. p.mu is held.
func (p *parking) freed(m *parkedMessage) {
	p.n--
	if p.sources[m.from]--; p.sources[m.from] == 0 {
		delete(p.sources, m.from)
	}
}

func (p *parking) expire(key sender, m *parkedMessage) {
	p.mu.Lock()
	found := false
	waiting := p.senders[key]
	for i, w := range waiting {
		if w == m {
			found = true
			waiting = append(waiting[:i:i], waiting[i+1:]...)
			p.freed(m)
			break
		}
	}
	if len(waiting) == 0 {
		delete(p.senders, key)
	} else {
		p.senders[key] = waiting
	}
	p.mu.Unlock()
	if found {
		p.e.drop(DropNoCredential)
		m.drop()
	}
}

func (p *parking) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = true
	for key, waiting := range p.senders {
		for _, m := range waiting {
			m.timer.Stop()
		}
		delete(p.senders, key)
	}
	p.n = 0
	clear(p.sources)
}
