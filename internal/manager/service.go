package manager

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/cohort-iot/cohort/internal/clock"
)

// RestartPolicy says what Start does with the groups of a store that was used before.
type RestartPolicy uint8

// The policies.
const (
	// RestartRekey rekeys every group before anything is served
	// (RFC 9594, Section 10.2). It is the default.
	RestartRekey RestartPolicy = iota
	// RestartKeep goes on with the keying material as it is, if the store is shown
	// to be the newest by an anchor outside the data directory; else it rekeys.
	RestartKeep
	// RestartRekeyIfUnclean is RestartKeep after a clean stop and RestartRekey
	// after a crash.
	RestartRekeyIfUnclean
)

// ParseRestartPolicy reads the name of a policy.
func ParseRestartPolicy(s string) (RestartPolicy, error) {
	for p := RestartRekey; p <= RestartRekeyIfUnclean; p++ {
		if p.String() == s {
			return p, nil
		}
	}
	return 0, fmt.Errorf("%q is none of rekey, keep, rekey-if-unclean", s)
}

// String gives the policy's name.
func (p RestartPolicy) String() string {
	switch p {
	case RestartRekey:
		return "rekey"
	case RestartKeep:
		return "keep"
	case RestartRekeyIfUnclean:
		return "rekey-if-unclean"
	}
	return fmt.Sprintf("policy(%d)", uint8(p))
}

// Options configures a Service.
type Options struct {
	Clock clock.Clock  // nil: the system's
	Rand  io.Reader    // required
	Log   *slog.Logger // nil: nothing is logged
	Meter Meter        // nil: nothing is measured

	Delivery  Delivery  // nil: members fetch everything themselves
	Observers Observers // nil: nobody observes
	Sessions  Sessions  // nil: nothing is kept per association

	// Subject is the subject name in the Group Manager's own credentials; default "group-manager".
	Subject string
	// Scheme is how rekeyings reach the members; nil: PointToPoint.
	Scheme Scheme
	// GidPrefix goes before every Gid; for sites with several Group Managers. At
	// most 4 bytes; taken over when a store is first used, then fixed.
	GidPrefix []byte

	OnRestart RestartPolicy
	// KeepAssociations keeps the associations with devices over a restart. Only for
	// a store that is shown to be the newest; false drops them, and devices post
	// their tokens again.
	KeepAssociations bool
	// Clean says that the store was closed in good order the last time.
	Clean bool
	// Restored says that the store was restored from a backup: every counter jumps,
	// associations are dropped and every group is rekeyed before anything is served.
	Restored bool

	// AllowControlHost admits control URIs whose host is not the address of the
	// verified join request. nil: none.
	AllowControlHost func(group string, host netip.Addr) bool

	DeliveryWorkers  int           // rekeying messages under way at once; default 256
	DeliveryRate     int           // of them begun a second; default 4000
	DeliveryAttempts int           // per member and version; default 6
	RetryFirst       time.Duration // wait before the second attempt; default 5 s, doubled each time
	RetryMax         time.Duration // longest wait; default 5 min
	// DeliveryTimeout is for the longest attempt; default 2 min (MAX_TRANSMIT_WAIT of
	// RFC 7252 is 93 s). The first attempt has 8 s and each further one twice the
	// time, so that devices that are off do not hold the places of those that are on.
	DeliveryTimeout time.Duration
	NoticeAttempts  int           // of an eviction notice; default 4
	SweepInterval   time.Duration // how often due work is looked for; default 15 s
}

func (o Options) withDefaults() (Options, error) {
	var faults []error
	if o.Rand == nil {
		faults = append(faults, errors.New("a source of randomness is required"))
	}
	if len(o.GidPrefix) > 4 {
		faults = append(faults, errors.New("the Gid prefix has more than 4 bytes"))
	}
	if o.Clock == nil {
		o.Clock = clock.System()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Meter == nil {
		o.Meter = nopMeter{}
	}
	if o.Scheme == nil {
		o.Scheme = PointToPoint{}
	}
	if o.Observers == nil {
		o.Observers = nopObservers{}
	}
	if o.Sessions == nil {
		o.Sessions = nopSessions{}
	}
	if o.Subject == "" {
		o.Subject = "group-manager"
	}
	for _, d := range []struct {
		p   *int
		def int
	}{{&o.DeliveryWorkers, 256}, {&o.DeliveryRate, 4000}, {&o.DeliveryAttempts, 6}, {&o.NoticeAttempts, 4}} {
		if *d.p <= 0 {
			*d.p = d.def
		}
	}
	for _, d := range []struct {
		p   *time.Duration
		def time.Duration
	}{{&o.RetryFirst, 5 * time.Second}, {&o.RetryMax, 5 * time.Minute}, {&o.DeliveryTimeout, 2 * time.Minute}, {&o.SweepInterval, 15 * time.Second}} {
		if *d.p <= 0 {
			*d.p = d.def
		}
	}
	return o, errors.Join(faults...)
}

type nopObservers struct{}

func (nopObservers) Rekeyed(string)       {}
func (nopObservers) ActiveChanged(string) {}
func (nopObservers) Deleted(string)       {}
func (nopObservers) Ended(string, string) {}

type nopSessions struct{}

func (nopSessions) Drop(uint64) {}

// Service is the Group Manager's domain. Its methods are safe for concurrent
// use. Make it with New, then Start it; nothing is served before Start returned.
type Service struct {
	store     Store
	opt       Options
	clock     clock.Clock
	rand      io.Reader
	log       *slog.Logger
	meter     Meter
	observers Observers
	sessions  Sessions

	keys     keyCache
	heads    headCache
	progress progressTable
	delivery deliveryLoop
	confirms confirmQueue
	sweeper  sweeper
	bulk     bulkTable
	refusals refusalLog

	mu      sync.Mutex
	state   serviceState
	stop    context.CancelFunc
	running sync.WaitGroup
}

type serviceState uint8

const (
	serviceNew serviceState = iota
	serviceStarting
	serviceRunning
	serviceStopped
)

// New makes a Service over a store. It does no I/O.
func New(store Store, o Options) (*Service, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("manager: %w", err)
	}
	if store == nil {
		return nil, errors.New("manager: a store is required")
	}
	s := &Service{store: store, opt: o, clock: o.Clock, rand: &lockedReader{r: o.Rand}, log: o.Log, meter: o.Meter, observers: o.Observers, sessions: o.Sessions}
	s.delivery.wake = make(chan struct{}, 1)
	s.delivery.pace = newPace(o.DeliveryRate)
	s.confirms.wake = make(chan struct{}, 1)
	s.sweeper.wake = make(chan struct{}, 1)
	return s, nil
}

// Format prints nothing of the state: rekeying messages are in it.
func (s *Service) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "manager.Service") }

// lockedReader makes a source of randomness safe for concurrent use.
type lockedReader struct {
	mu sync.Mutex
	r  io.Reader
}

func (l *lockedReader) Read(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.r.Read(p)
}

// random gives n fresh random bytes.
func (s *Service) random(n int) ([]byte, error) {
	b := make([]byte, n)
	if _, err := io.ReadFull(s.rand, b); err != nil {
		return nil, fault(KindInternal, err, "no randomness")
	}
	return b, nil
}
