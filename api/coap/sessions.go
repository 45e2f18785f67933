package coap

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/clock"
	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/internal/manager"
	"github.com/cohort-iot/cohort/oscore"
)

// SequenceStore keeps the sequence numbers of one association durably.
type SequenceStore interface {
	oscore.SequenceStore
	High(ctx context.Context) (uint64, error)
}

// SessionsConfig configures Sessions.
type SessionsConfig struct {
	// Contexts are those of the endpoint for associations with the Group Manager.
	// They must not be shared with the Authorization Server's. Required.
	Contexts *endpoint.Contexts
	// Sequence gives the sequence numbers of an association. Required.
	Sequence func(association uint64) SequenceStore
	// Clock; nil: the system's.
	Clock clock.Clock
}

// Sessions are the OSCORE contexts of the associations with devices, in memory:
// how requests of devices are recognised, and how the Group Manager sends to
// them. It is the manager's ports Delivery and Sessions. Safe for concurrent use.
type Sessions struct {
	cfg SessionsConfig
	ep  atomic.Pointer[endpoint.Endpoint]

	mu      sync.Mutex
	byAssoc map[uint64]*session
	pending map[*ace.Pending]*session

	sequences map[*oscore.Sequence]*session // of those in byAssoc
}

var (
	_ manager.Delivery = (*Sessions)(nil)
	_ manager.Sessions = (*Sessions)(nil)
)

// session is one association. It is what a request's Peer.Association holds.
type session struct {
	ctx     *oscore.Context
	assoc   atomic.Uint64 // 0: pending
	client  atomic.Uint64
	expires atomic.Int64 // of the token, Unix seconds

	reserving atomic.Bool

	mu    sync.Mutex // held while numbers are reserved
	store SequenceStore
	timer clock.Timer // ends a pending session that nobody confirms
}

func (s *session) caller(from netip.AddrPort) manager.Caller {
	return manager.Caller{Client: s.client.Load(), Association: s.assoc.Load(), Addr: from}
}

// NewSessions makes an empty set. Attach must follow before anything is sent.
func NewSessions(cfg SessionsConfig) (*Sessions, error) {
	if cfg.Contexts == nil || cfg.Sequence == nil {
		return nil, errors.New("coap: sessions need contexts and sequence numbers")
	}
	if cfg.Clock == nil {
		cfg.Clock = clock.System()
	}
	s := &Sessions{
		cfg: cfg, byAssoc: map[uint64]*session{}, pending: map[*ace.Pending]*session{}, sequences: map[*oscore.Sequence]*session{},
	}
	cfg.Contexts.SequenceLow = s.sequenceLow
	return s, nil
}

// Attach gives the endpoint by which messages leave.
func (s *Sessions) Attach(ep *endpoint.Endpoint) { s.ep.Store(ep) }

// Load takes over the associations that outlived a restart. Their replay windows
// are invalid, so that the first request of each device is answered with an Echo
// challenge (RFC 8613, Appendix B.1.2).
func (s *Sessions) Load(ctx context.Context, m *manager.Service) error {
	var kept []manager.StoredAssociation
	err := m.Associations(func(a manager.StoredAssociation) error {
		kept = append(kept, a)
		return nil
	})
	if err != nil {
		return fmt.Errorf("load associations: %w", err)
	}
	for _, a := range kept {
		if err := s.load(ctx, a); err != nil {
			return fmt.Errorf("load association %d: %w", a.Number, err)
		}
	}
	m.Redeliver()
	return nil
}

func (s *Sessions) load(ctx context.Context, a manager.StoredAssociation) error {
	st := s.cfg.Sequence(a.Number)
	next, err := st.High(ctx)
	if err != nil {
		return err
	}
	next += lostBlocks * reserveBlock
	oc, err := oscore.NewContext(a.Params, oscore.NewSequence(next))
	if err != nil {
		return err
	}
	oc.Invalidate()
	ses := &session{ctx: oc, store: st}
	ses.assoc.Store(a.Number)
	ses.client.Store(a.Client)
	ses.expires.Store(a.Expires.Unix())
	if err := s.cfg.Contexts.AddOSCORE(oc, ses, nil); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.byAssoc[a.Number], s.sequences[oc.Sequence()] = ses, ses
	return nil
}

// addPending puts up the context of an association whose device has not shown
// yet that it has the key. confirm is called at its first verified request.
func (s *Sessions) addPending(p *ace.Pending, life time.Duration, confirm func() (assoc, client uint64, superseded []uint64, err error)) error {
	oc, err := oscore.NewContext(p.Params, oscore.NewSequence(0))
	if err != nil {
		return err
	}
	ses := &session{ctx: oc}
	ses.expires.Store(p.Token.Expires.Unix())
	s.mu.Lock()
	s.pending[p] = ses
	s.mu.Unlock()
	err = s.cfg.Contexts.AddOSCORE(oc, ses, func() error {
		assoc, client, superseded, err := confirm()
		if err != nil {
			return err
		}
		if err := ses.ctx.Sequence().Reserve(context.Background(), reserved{}, manager.FirstSequences); err != nil {
			return err
		}
		s.confirmed(p, ses, assoc, client)
		for _, old := range superseded {
			s.Drop(old)
		}
		return nil
	})
	if err != nil {
		s.mu.Lock()
		delete(s.pending, p)
		s.mu.Unlock()
		return err
	}
	ses.mu.Lock()
	defer ses.mu.Unlock()
	if ses.store != nil {
		return nil // confirmed meanwhile
	}
	ses.timer = s.cfg.Clock.AfterFunc(life, func() {
		if ses.assoc.Load() == 0 {
			s.DropPending(p)
		}
	})
	return nil
}

func (s *Sessions) confirmed(p *ace.Pending, ses *session, assoc, client uint64) {
	ses.mu.Lock()
	ses.store = s.cfg.Sequence(assoc)
	if ses.timer != nil {
		ses.timer.Stop()
		ses.timer = nil // it holds all that is known of the pending association
	}
	ses.mu.Unlock()
	ses.client.Store(client)
	ses.assoc.Store(assoc)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.pending, p)
	s.byAssoc[assoc], s.sequences[ses.ctx.Sequence()] = ses, ses
}

// DropPending forgets an association that ended unconfirmed. It is Dropped of
// ace.RSConfig.
func (s *Sessions) DropPending(p *ace.Pending) {
	s.mu.Lock()
	ses := s.pending[p]
	delete(s.pending, p)
	s.mu.Unlock()
	if ses == nil {
		s.cfg.Contexts.ReleaseRecipientID(p.Params.RecipientID)
		return
	}
	s.cfg.Contexts.RemoveOSCORE(ses.ctx)
}

// Drop implements manager.Sessions.
func (s *Sessions) Drop(association uint64) {
	s.mu.Lock()
	ses := s.byAssoc[association]
	delete(s.byAssoc, association)
	if ses != nil {
		delete(s.sequences, ses.ctx.Sequence())
	}
	s.mu.Unlock()
	if ses == nil {
		return
	}
	s.cfg.Contexts.RemoveOSCORE(ses.ctx)
	s.endObservations(ses)
}

// AllocateID gives a Recipient ID other than avoid. It is AllocateID of ace.RSConfig.
func (s *Sessions) AllocateID(avoid []byte) ([]byte, error) {
	var rejected []byte
	defer func() {
		if rejected != nil {
			s.cfg.Contexts.ReleaseRecipientID(rejected)
		}
	}()
	for {
		id, err := s.cfg.Contexts.NewRecipientID()
		if err != nil || string(id) != string(avoid) {
			return id, err
		}
		rejected = id // held until another one is found
	}
}

func (s *Sessions) get(association uint64) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byAssoc[association]
}

// extend notes that the token of an association was replaced.
func (s *Sessions) extend(association uint64, expires time.Time) {
	if ses := s.get(association); ses != nil {
		ses.expires.Store(expires.Unix())
	}
}

// reserved is the store of sequence numbers that are reserved already.
type reserved struct{}

// Reserve implements oscore.SequenceStore.
func (reserved) Reserve(context.Context, uint64) error { return nil }

// reserveBlock is how many sequence numbers are reserved at once: one rekeying
// message takes one, so a block lasts long and little is lost with it.
const reserveBlock = 32

// lostBlocks is how many reservations of one association may be missing from data
// that is shown to be the newest: the anchor may be that many commits behind, and
// a commit holds at most one of them (keystore.Options.AnchorEvery).
const lostBlocks = 64

// reserve makes sure that a sequence number can be taken; the reservation is
// durable first.
func (s *session) reserve(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.store == nil {
		return oscore.ErrSequenceNotReserved
	}
	if !s.ctx.Sequence().NeedsReserve() {
		return nil
	}
	return s.ctx.Sequence().Reserve(ctx, s.store, reserveBlock)
}

// OpenRequest implements endpoint.RequestOpener over the contexts. A request
// under an association whose token has expired finds no context any more, as
// the profile wants it (RFC 9203, Section 4.3): 4.01 in clear.
func (s *Sessions) OpenRequest(m message.Message, opt coapmsg.OSCOREOption, from netip.AddrPort, multicast bool) (*endpoint.Opened, error) {
	o, err := s.cfg.Contexts.OpenRequest(m, opt, from, multicast)
	if err != nil {
		return nil, err
	}
	ses, ok := o.Peer.Association.(*session)
	if !ok {
		return o, nil
	}
	if s.cfg.Clock.Now().Unix() >= ses.expires.Load() {
		return nil, noContext(errTokenExpired)
	}
	if o.Fresh != nil || coapmsg.Has(o.Message.Options, message.Observe) {
		// The challenge, and each notification, needs a Partial IV of its own.
		if err := ses.reserve(context.Background()); err != nil {
			return nil, fmt.Errorf("sequence numbers: %w", err)
		}
	}
	return o, nil
}

var errTokenExpired = errors.New("the access token of the association has expired")
