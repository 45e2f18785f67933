package authserver

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/ace/trl"
	"github.com/cohort-iot/cohort/internal/clock"
	"github.com/cohort-iot/cohort/internal/ratelimit"
)

// Config configures a [Service].
type Config struct {
	// Issuer is the name of this server in the claim iss. Required.
	Issuer string
	// TokenURI is where devices send token requests, such as coap://192.0.2.1:5683/token. It goes into enrolments. Required.
	TokenURI string
	// IntrospectPath is where resource servers ask about tokens, at the same server; default [DefaultIntrospectPath].
	IntrospectPath string
	// ListPath is where the list of revoked tokens is, at the same server; default [trl.DefaultPath].
	ListPath string
	// List says what the list of revoked tokens offers; nil: [trl.DefaultSupport].
	List *trl.Support
	// TokenLimits bounds the token requests of each client and of all; nil: 1 a second for each with bursts of 20.
	TokenLimits *ratelimit.Limits
	// QueryLimits bounds the introspections and the queries of the list for each peer and in all; nil: 20 a second for each with
	// bursts of 100.
	QueryLimits *ratelimit.Limits
	// SweepInterval is how often Run looks for tokens that have expired; default 15 s. The end of a revoked token stays on the
	// list for so long.
	SweepInterval time.Duration
	// Events is told what others must act upon; nil: nobody is told.
	Events Events
	// ListChanged is told for which requesters the list of revoked tokens has changed: those who observe it among them are
	// notified (RFC 9770, Section 11). It is told after that is durable, and must not block nor call the Service. Nil: nobody is.
	ListChanged func(requesters []Peer)
	// Meter receives figures; nil: nobody does.
	Meter Meter
	// Clock; nil: the machine's. One that was set back makes tokens that end too early, and revoked ones stay on the list for
	// longer; nothing that has expired becomes valid by it here.
	Clock clock.Clock
	// Rand is a cryptographic source; nil: crypto/rand's.
	Rand io.Reader
}

// DefaultIntrospectPath is the path of the introspection endpoint (RFC 9200, Section 5.9).
const DefaultIntrospectPath = "/introspect"

const defaultSweepInterval = 15 * time.Second

// Validate returns all faults of c, joined.
func (c Config) Validate() error {
	var errs []error
	add := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, args...)...))
		}
	}
	add(c.Issuer == "" || len(c.Issuer) > 255, "issuer has %d bytes, not 1 to 255", len(c.Issuer))
	add(c.TokenURI == "", "no URI of the token endpoint")
	add(c.SweepInterval < 0, "negative interval")
	for _, p := range []string{c.IntrospectPath, c.ListPath} {
		add(p != "" && !strings.HasPrefix(p, "/"), "%q is no path", p)
	}
	for _, l := range []*ratelimit.Limits{c.TokenLimits, c.QueryLimits} {
		if l != nil {
			errs = append(errs, l.Validate())
		}
	}
	if c.List != nil {
		errs = append(errs, c.List.Validate())
		add(c.List.MaxN > maxUpdates, "the list keeps %d updates for each requester, at most %d", c.List.MaxN, maxUpdates)
	}
	return errors.Join(errs...)
}

// Service is the Authorization Server. It is safe for concurrent use.
type Service struct {
	cfg   Config
	store Store
	list  trl.Support

	tokenLimit *ratelimit.Limiter[Peer]
	queryLimit *ratelimit.Limiter[Peer]

	mu       sync.Mutex
	sessions map[Peer]*session
}

// New returns the Authorization Server whose state is in store.
func New(cfg Config, store Store) (*Service, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if store == nil {
		return nil, fmt.Errorf("%w: no store", ErrInvalid)
	}
	if cfg.Events == nil {
		cfg.Events = noEvents{}
	}
	if cfg.ListChanged == nil {
		cfg.ListChanged = func([]Peer) {}
	}
	if cfg.Meter == nil {
		cfg.Meter = noMeter{}
	}
	if cfg.Clock == nil {
		cfg.Clock = clock.System()
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	if cfg.IntrospectPath == "" {
		cfg.IntrospectPath = DefaultIntrospectPath
	}
	if cfg.ListPath == "" {
		cfg.ListPath = trl.DefaultPath
	}
	if cfg.SweepInterval == 0 {
		cfg.SweepInterval = defaultSweepInterval
	}
	s := &Service{cfg: cfg, store: store, list: trl.DefaultSupport(), sessions: make(map[Peer]*session)}
	if cfg.List != nil {
		s.list = *cfg.List
	}
	tokens, queries := defaultTokenLimits(), defaultQueryLimits()
	if cfg.TokenLimits != nil {
		tokens = *cfg.TokenLimits
	}
	if cfg.QueryLimits != nil {
		queries = *cfg.QueryLimits
	}
	s.tokenLimit = ratelimit.New[Peer](tokens, cfg.Clock.Now)
	s.queryLimit = ratelimit.New[Peer](queries, cfg.Clock.Now)
	return s, nil
}

// Paths returns the paths of the token endpoint, of introspection and of the list of revoked tokens.
func (s *Service) Paths() (token, introspect, list string) {
	token = s.cfg.TokenURI
	if i := strings.Index(token, "://"); i >= 0 {
		token = token[i+3:]
	}
	if i := strings.IndexByte(token, '/'); i >= 0 {
		token = token[i:]
	}
	return token, s.cfg.IntrospectPath, s.cfg.ListPath
}

// listInfo is what requesters are told about the list of revoked tokens (RFC 9770, Section 10).
func (s *Service) listInfo() *ace.TRLInfo {
	info := &ace.TRLInfo{Path: s.cfg.ListPath, Hash: ace.HashName}
	if s.list.Diff {
		info.MaxN = s.list.MaxN
	}
	if s.list.Cursor {
		info.MaxDiffBatch = s.list.Batch
	}
	return info
}

// random returns n random bytes.
func (s *Service) random(n int) ([]byte, error) {
	b := make([]byte, n)
	if _, err := io.ReadFull(s.cfg.Rand, b); err != nil {
		return nil, fmt.Errorf("random source: %w", err)
	}
	return b, nil
}

func (s *Service) now() time.Time { return s.cfg.Clock.Now() }

func unix(sec int64) time.Time {
	if sec == 0 {
		return time.Time{}
	}
	return time.Unix(sec, 0).UTC()
}
