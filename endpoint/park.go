package endpoint

import (
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
	n       int
	stopped bool
}

type sender struct{ gid, id string }

type parkedMessage struct {
	again func() // run it through the layers again
	drop  func()
	timer clock.Timer
}

func newParking(e *Endpoint) *parking {
	return &parking{e: e, resume: make(chan func(), e.cfg.Parked), senders: make(map[sender][]*parkedMessage)}
}

// CredentialReady has the messages verified again that wait for the credential
// of this group member. Whoever is told by Config.CredentialWanted calls it
// once the credential can be found.
func (e *Endpoint) CredentialReady(gid, senderID []byte) { e.parked.ready(gid, senderID) }

// request parks a request; false if there is no room.
func (p *parking) request(f *inflight, m message.Message, missing *MissingCredential) bool {
	return p.add(missing, &parkedMessage{
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
	if p.stopped || p.e.cfg.CredentialWanted == nil || p.n >= p.e.cfg.Parked || len(waiting) >= parkedPerSender {
		p.mu.Unlock()
		return false
	}
	p.n++
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
	p.n -= len(waiting)
	p.mu.Unlock()
	for _, m := range waiting {
		m.timer.Stop()
		m.again()
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
			p.n--
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
}
