package trust

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/ace/trl"
	"github.com/cohort-iot/cohort/internal/clock"
	"github.com/cohort-iot/cohort/keystore"
)

var (
	// ErrNotFound says that there is no Authorization Server of that name.
	ErrNotFound = errors.New("not found")
	// ErrExists says that there is one already.
	ErrExists = errors.New("already exists")
	// ErrInvalid says that a request of the operator cannot be carried out as it is; the text says why.
	ErrInvalid = errors.New("invalid")
)

// Store is the durable state. *keystore.Store implements it.
type Store interface {
	View(fn func(r keystore.Reader) error) error
	Update(ctx context.Context, fn func(tx *keystore.Tx) error) error
}

// Effect ends a token here, with all that rests on it. *manager.Service implements it. An unknown token is no error.
type Effect interface {
	RevokeToken(ctx context.Context, hash ace.TokenHash) (evicted int, err error)
}

// Source asks an Authorization Server for its list of revoked tokens, under the association with it. An error that is a
// [*trl.Problem] is its answer to the query; from any other nothing follows.
type Source interface {
	Query(ctx context.Context, issuer string, q trl.Query) (*trl.Response, error)
}

// Config configures a [Service].
type Config struct {
	Audience string // of this Resource Server. Required
	Effect   Effect // required
	// Source; nil: no list is followed.
	Source Source
	// Watcher; nil: lists are polled only.
	Watcher Watcher
	// Exi keeps tokens with exi; nil: none are taken. Make it over the Service first: see SetExi.
	Exi *ace.ExiTable
	// Changed is told of everybody who is trusted, after that has changed; nil: nobody is.
	Changed func([]ace.TrustedAS)
	// Interval is how often each list is asked for; default 60 s. It bounds how long a revoked token goes on working when
	// notifications do not come through, and costs a small request each time.
	Interval time.Duration
	// FullEvery is how many queries for changes pass until everything is asked for again; default 10.
	FullEvery int
	// Timeout bounds one query; default 30 s.
	Timeout time.Duration
	// MaxHashes bounds the hashes that are kept; default 65536. Beyond it the earliest go first.
	MaxHashes int
	// Report is told of what went wrong in the background; nil: nobody is.
	Report func(issuer string, err error)
	Clock  clock.Clock // nil: the machine's
}

// Service is the domain. It is safe for concurrent use.
type Service struct {
	cfg   Config
	store Store

	mu     sync.Mutex
	exi    *ace.ExiTable
	hashes map[ace.TokenHash]uint64 // number of the record
	newest uint64                   // greatest of these numbers ever
	seen   seenTokens
	stored map[ace.TokenHash]bool // revoked tokens that were stored all the same, to be ended
	unsure uint64                 // up to this number hashes were learned by a process before: their tokens may have been stored at its end
	follow map[string]*following  // by issuer

	working sync.Mutex    // held while news is taken in
	wake    chan struct{} // ask at once
	owed    chan struct{} // review at once

	watches  map[uint64]context.CancelFunc // by number of the Authorization Server; for the goroutine of Run
	watching sync.WaitGroup
}

// Defaults of [Config].
const (
	defaultInterval  = time.Minute
	defaultTimeout   = 30 * time.Second
	defaultMaxHashes = 1 << 16 // 2 MiB in memory
)

// New returns the Service whose state is in store.
func New(cfg Config, store Store) (*Service, error) {
	if cfg.Audience == "" || cfg.Effect == nil || store == nil || cfg.Interval < 0 || cfg.Timeout < 0 || cfg.MaxHashes < 0 || cfg.FullEvery < 0 {
		return nil, fmt.Errorf("%w: an audience, an effect and a store are needed, and no negative bounds", ErrInvalid)
	}
	if cfg.Changed == nil {
		cfg.Changed = func([]ace.TrustedAS) {}
	}
	if cfg.Report == nil {
		cfg.Report = func(string, error) {}
	}
	if cfg.Interval == 0 {
		cfg.Interval = defaultInterval
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = defaultTimeout
	}
	if cfg.MaxHashes == 0 {
		cfg.MaxHashes = defaultMaxHashes
	}
	if cfg.Clock == nil {
		cfg.Clock = clock.System()
	}
	s := &Service{
		cfg: cfg, store: store, exi: cfg.Exi, hashes: make(map[ace.TokenHash]uint64), follow: make(map[string]*following),
		seen: newSeenTokens(), stored: make(map[ace.TokenHash]bool), wake: make(chan struct{}, 1), owed: make(chan struct{}, 1),
	}
	return s, store.View(func(r keystore.Reader) error {
		return r.Scan(nameHashes(), func(n keystore.Name, b []byte) error {
			h, err := decode[hashRecord](n, b)
			if err == nil {
				s.hashes[ace.TokenHash(h.Hash)] = n.ID(0)
				s.newest = max(s.newest, n.ID(0))
				s.unsure = s.newest
			}
			return err
		})
	})
}

// SetExi gives the table of tokens with exi, whose store is this Service.
func (s *Service) SetExi(t *ace.ExiTable) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.exi = t
}

func (s *Service) exiTable() *ace.ExiTable {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.exi
}

// auditEvent is one audit record: JSON, one object, no key material.
type auditEvent struct {
	Time   string `json:"time"`
	Event  string `json:"event"`
	Actor  string `json:"actor,omitempty"`
	Issuer string `json:"issuer,omitempty"`
	Token  string `json:"token,omitempty"`
	Count  int    `json:"count,omitempty"`
	Detail string `json:"detail,omitempty"`
}

func (s *Service) audit(ctx context.Context, tx *keystore.Tx, e auditEvent) error {
	e.Time = s.cfg.Clock.Now().UTC().Format(time.RFC3339Nano)
	e.Actor, _ = ctx.Value(actorKey{}).(string)
	b, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return tx.Audit(b)
}

type actorKey struct{}

// WithActor notes who is behind the calls made with the context, for audit records.
func WithActor(ctx context.Context, actor string) context.Context {
	return context.WithValue(ctx, actorKey{}, actor)
}
