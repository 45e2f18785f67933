package member

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/plgd-dev/go-coap/v3/mux"

	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/oscore"
)

// Device is one enrolled device and its groups. It is safe for concurrent use.
type Device struct {
	cfg      Config
	gm       netip.AddrPort // of the Group Manager
	as       netip.AddrPort // of the Authorization Server
	asPath   string
	ep       *endpoint.Endpoint
	contexts *endpoint.Contexts
	mux      *endpoint.Mux // the control resource; before the device maker's own

	identityTurn turn                // one making of a key pair at a time
	assocTurn    turn                // one making of an association at a time
	asSession    *endpoint.B2Session // with the Authorization Server, nil: none; belongs to assocTurn

	mu         sync.Mutex
	identities map[cose.Curve]*identity
	assoc      *association // nil before the first one
	groups     map[string]*Group
	closed     bool
	count      uint64 // number of the newest group

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup // goroutines of the groups, and calls that change a group
}

// Open starts a device. Resources are its CoAP resources; nil if it serves
// none. The groups that the store knows are resumed: one that needs its Group
// Manager for that stays silent until it can be reached.
//
// A group that ended while the device was off, as the authorisation of the
// device ran out meanwhile, is joined again if the Group Manager allows it.
func Open(ctx context.Context, cfg Config, resources *endpoint.Mux) (*Device, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	d := &Device{
		cfg:          cfg,
		mux:          endpoint.NewMux(),
		identityTurn: newTurn(),
		assocTurn:    newTurn(),
		identities:   map[cose.Curve]*identity{},
		groups:       map[string]*Group{},
	}
	d.contexts = &endpoint.Contexts{Now: cfg.Clock.Now, Rand: cfg.Rand, SequenceLow: d.sequenceLow}
	var err error
	if d.gm, _, err = serverAddr(cfg.Enrolment.GM, ""); err != nil {
		return nil, err
	}
	if d.as, d.asPath, err = serverAddr(cfg.Enrolment.AS.URI, "token"); err != nil {
		return nil, err
	}
	d.mux.Handle(controlPattern, endpoint.AcceptOSCORE, mux.HandlerFunc(d.serveControl))
	if resources != nil {
		d.mux.NotFound = resources
	}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	d.ep, err = endpoint.New(endpoint.Config{
		Unicast:          cfg.Listen,
		Network:          cfg.Network,
		Handler:          mux.HandlerFunc(d.serve),
		Openers:          []endpoint.RequestOpener{gate{d}},
		CredentialWanted: d.credentialWanted,
		Leisure:          cfg.Leisure,
		ProbingRate:      cfg.ProbingRate,
		Clock:            cfg.Clock,
		Rand:             cfg.Rand,
		Log:              cfg.Log,
		Meter:            cfg.Meter,
	})
	if err != nil {
		d.cancel()
		return nil, fmt.Errorf("open the endpoint of %s: %w", cfg.Enrolment.Device, err)
	}
	if err := d.resume(ctx); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// Close stops the device without leaving its groups, and saves what lets the
// next start go on without the Group Manager. It does not close the store.
func (d *Device) Close() error {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		d.wg.Wait()
		return nil
	}
	d.closed = true
	d.mu.Unlock()
	d.cancel()
	err := d.ep.Close()
	d.wg.Wait()
	for _, g := range d.Groups() {
		err = errors.Join(err, g.saveWindows(), g.saveAddrs())
	}
	return err
}

// Name is the name the device was enrolled under.
func (d *Device) Name() string { return d.cfg.Enrolment.Device }

// Addr is the unicast address of the device.
func (d *Device) Addr() netip.AddrPort { return d.ep.LocalAddr() }

// Group returns a group the device is a member of.
func (d *Device) Group(name string) (*Group, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	g := d.groups[name]
	if g == nil {
		return nil, fmt.Errorf("%w: %s", ErrNotMember, name)
	}
	return g, nil
}

// Groups returns the groups the device is a member of, by name.
func (d *Device) Groups() []*Group {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := make([]*Group, 0, len(d.groups))
	for _, g := range d.groups {
		l = append(l, g)
	}
	slices.SortFunc(l, func(a, b *Group) int { return strings.Compare(a.name, b.name) })
	return l
}

// serve runs the device's resources. Every request of a group also tells where
// its sender is now.
func (d *Device) serve(w mux.ResponseWriter, r *mux.Message) {
	if p, ok := endpoint.PeerFrom(r.Context()); ok {
		if g, ok := p.Association.(*Group); ok {
			g.dir.heard(p.SenderID, p.Addr)
			if g.roles().MonitorOnly() {
				w = newUnheard(w)
			}
		}
	}
	d.mux.ServeCOAP(w, r)
}

// sequenceLow is told by the endpoint when answers have used up half a block.
func (d *Device) sequenceLow(s *oscore.Sequence) {
	for _, g := range d.Groups() {
		if l := g.using(); l != nil && l.seq == s {
			g.wake()
		}
	}
}

// begin counts a call or a goroutine that Close has to wait for; false after
// Close.
func (d *Device) begin() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return false
	}
	d.wg.Add(1)
	return true
}

// background runs f until the device closes.
func (d *Device) background(f func(ctx context.Context)) bool {
	if !d.begin() {
		return false
	}
	go func() {
		defer d.wg.Done()
		f(d.ctx)
	}()
	return true
}

// limited bounds one exchange with a server. It also ends with the device.
func (d *Device) limited(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, d.cfg.Timeout)
	stop := context.AfterFunc(d.ctx, cancel)
	return ctx, func() {
		stop()
		cancel()
	}
}

// now is the device's time.
func (d *Device) now() time.Time { return d.cfg.Clock.Now() }

// random returns n random bytes.
func (d *Device) random(n int) ([]byte, error) {
	b := make([]byte, n)
	if _, err := io.ReadFull(d.cfg.Rand, b); err != nil {
		return nil, fmt.Errorf("random bytes: %w", err)
	}
	return b, nil
}
