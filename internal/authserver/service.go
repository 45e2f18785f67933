package authserver

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/cohort-iot/cohort/internal/clock"
)

// Config configures a [Service].
type Config struct {
	// Issuer is the name of this server in the claim iss. Required.
	Issuer string
	// TokenURI is where devices send token requests, such as coap://192.0.2.1:5683/token. It goes into enrolments. Required.
	TokenURI string
	// Events is told what others must act upon; nil: nobody is told.
	Events Events
	// Clock; nil: the machine's.
	Clock clock.Clock
	// Rand is a cryptographic source; nil: crypto/rand's.
	Rand io.Reader
}

// Validate returns all faults of c, joined.
func (c Config) Validate() error {
	var errs []error
	if c.Issuer == "" || len(c.Issuer) > 255 {
		errs = append(errs, fmt.Errorf("%w: issuer has %d bytes, not 1 to 255", ErrInvalid, len(c.Issuer)))
	}
	if c.TokenURI == "" {
		errs = append(errs, fmt.Errorf("%w: no URI of the token endpoint", ErrInvalid))
	}
	return errors.Join(errs...)
}

// Service is the Authorization Server. It is safe for concurrent use.
type Service struct {
	cfg   Config
	store Store

	mu       sync.Mutex
	sessions map[uint64]*session // by client
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
	if cfg.Clock == nil {
		cfg.Clock = clock.System()
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	return &Service{cfg: cfg, store: store, sessions: make(map[uint64]*session)}, nil
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
