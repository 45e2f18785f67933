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

	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/mux"

	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/keystore"
)

// Device is one enrolled device and its groups. It is safe for concurrent use.
type Device struct {
	cfg      Config
	gm       netip.AddrPort // of the Group Manager
	as       netip.AddrPort // of the Authorization Server
	asPath   string
	ep       *endpoint.Endpoint
	contexts *endpoint.Contexts
	mux      *endpoint.Mux

	idMu       sync.Mutex
	identities map[cose.Curve]identity

	assocMu sync.Mutex // one making of an association at a time
	assoc   *association

	mu     sync.Mutex
	groups map[string]*Group
	closed bool
	count  uint64 // number of the newest group

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// Open starts a device. Resources are its CoAP resources, registered before;
// nil if it serves none. The groups that the store knows are resumed: one whose
// Group Manager cannot be reached stays silent until it can.
func Open(ctx context.Context, cfg Config, resources *endpoint.Mux) (*Device, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	d := &Device{
		cfg:        cfg.withDefaults(),
		contexts:   &endpoint.Contexts{Now: cfg.withDefaults().Clock.Now, Rand: cfg.withDefaults().Rand},
		mux:        resources,
		identities: map[cose.Curve]identity{},
		groups:     map[string]*Group{},
	}
	if d.mux == nil {
		d.mux = endpoint.NewMux()
	}
	var err error
	if d.gm, _, err = serverAddr(cfg.Enrolment.GM, ""); err != nil {
		return nil, err
	}
	if d.as, d.asPath, err = serverAddr(cfg.Enrolment.AS.URI, "token"); err != nil {
		return nil, err
	}
	d.mux.Handle(controlPattern, endpoint.AcceptOSCORE, mux.HandlerFunc(d.serveControl))
	d.ctx, d.cancel = context.WithCancel(context.Background())
	d.ep, err = endpoint.New(endpoint.Config{
		Unicast:          d.cfg.Listen,
		Network:          d.cfg.Network,
		Handler:          mux.HandlerFunc(d.serve),
		Openers:          []endpoint.RequestOpener{d.contexts, strangerGid{d}},
		CredentialWanted: d.credentialWanted,
		Leisure:          d.cfg.Leisure,
		Clock:            d.cfg.Clock,
		Rand:             d.cfg.Rand,
		Log:              d.cfg.Log,
		Meter:            d.cfg.Meter,
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

// Close stops the device without leaving its groups. It does not close the
// store.
func (d *Device) Close() error {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return nil
	}
	d.closed = true
	d.mu.Unlock()
	d.cancel()
	err := d.ep.Close()
	d.wg.Wait()
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
	if p, ok := endpoint.PeerFrom(r.Context()); ok && (p.Mode == endpoint.GroupMode || p.Mode == endpoint.PairwiseMode) {
		if g, ok := p.Association.(*Group); ok {
			g.dir.heard(p.SenderID, p.Addr)
			g.wake()
		}
	}
	d.mux.ServeCOAP(w, r)
}

// background runs f until the device closes.
func (d *Device) background(f func(ctx context.Context)) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return false
	}
	d.wg.Add(1)
	go func() {
		defer d.wg.Done()
		f(d.ctx)
	}()
	return true
}

// limited bounds one exchange with a server.
func (d *Device) limited(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, d.cfg.Timeout)
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

// resume takes up the groups in the store.
func (d *Device) resume(ctx context.Context) error {
	var recs []struct {
		n   uint64
		rec groupRecord
	}
	err := d.cfg.Store.View(func(r keystore.Reader) error {
		b, err := r.Get(groupCountName())
		if err == nil {
			err = decode(groupCountName(), b, &d.count)
		} else if errors.Is(err, keystore.ErrNotFound) {
			err = nil
		}
		if err != nil {
			return err
		}
		return r.Scan(keystore.Key("group"), func(n keystore.Name, b []byte) error {
			var rec groupRecord
			if err := decode(n, b, &rec); err != nil {
				return err
			}
			recs = append(recs, struct {
				n   uint64
				rec groupRecord
			}{n.ID(0), rec})
			return nil
		})
	})
	if err != nil {
		return fmt.Errorf("read the device's groups: %w", err)
	}
	for _, s := range recs {
		if err := d.resumeGroup(ctx, s.n, s.rec); err != nil {
			return fmt.Errorf("resume group %s: %w", s.rec.Name, err)
		}
	}
	return nil
}

// codeIs reports whether a response is one of the wanted successes.
func codeIs(c codes.Code, want ...codes.Code) bool { return slices.Contains(want, c) }
