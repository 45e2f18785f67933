package member

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/endpoint"
)

// Group is the device's membership in one group. It is safe for concurrent
// use. After Leave or an eviction every call returns ErrNotMember.
type Group struct {
	d      *Device
	number uint64
	name   string
	dir    *directory

	kick chan struct{} // there may be work for the goroutine of the group
	done chan struct{} // closed when the membership has ended

	change  turn // one change of epoch at a time
	topping turn // one reservation of sequence numbers at a time

	mu        sync.Mutex
	rec       *groupRecord // replaced, never changed
	live      *live        // nil before the first epoch, while stale, and at the end
	expires   time.Time    // when the epoch expires, by the clock that nobody sets
	oldUntil  time.Time    // when the former epoch is dropped; zero: there is none
	lapsed    bool         // the epoch has expired: nothing is sent under it
	suspended bool         // its Expiration Delta is over too: it is not used at all
	inactive  bool         // the group is not active, as far as the device knows
	ended     error        // why the membership is over
	todo      agenda
	parked    []parkedRequest // under a Gid that is perhaps the group's by now
}

func newGroup(d *Device, number uint64, rec groupRecord) *Group {
	return &Group{
		d: d, number: number, name: rec.Name, rec: &rec,
		dir:     newDirectory(),
		kick:    make(chan struct{}, 1),
		done:    make(chan struct{}),
		change:  newTurn(),
		topping: newTurn(),
		todo:    newAgenda(),
	}
}

// Name is the name of the group.
func (g *Group) Name() string { return g.name }

// Status is what a device knows of its membership; no key is in it.
type Status struct {
	Group    string
	Roles    ace.Roles
	Node     string // path of the own node resource at the Group Manager
	Address  netip.AddrPort
	SenderID []byte // nil for a monitor
	Gid      []byte // nil while stale
	Version  uint64
	Expires  time.Time
	Stale    bool // the keys are outdated or not in use yet; the current ones are being fetched
	Inactive bool // the group is not active
	Peers    int
}

// Status returns the present state.
func (g *Group) Status() Status {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := Status{
		Group: g.name, Roles: g.rec.roles(), Node: g.rec.Node,
		SenderID: bytes.Clone(g.rec.Epoch.SenderID), Version: g.rec.Epoch.Version,
		Expires: time.Unix(g.rec.Epoch.Expires, 0).UTC(), Stale: g.live == nil, Inactive: g.inactive,
		Peers: g.dir.len(),
	}
	s.Address, _ = netip.ParseAddrPort(g.rec.Address)
	if k, err := groupcomm.ParseKeyMaterial(g.rec.Epoch.Material); err == nil {
		s.Gid = k.Gid
	}
	return s
}

// Peers returns the other members whose credentials the device has.
func (g *Group) Peers() []Peer { return g.dir.list() }

// Done is closed when the membership has ended and the group's keys are
// deleted.
func (g *Group) Done() <-chan struct{} { return g.done }

// Err is nil while the device is a member, then why it is none any more.
func (g *Group) Err() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.ended
}

// record returns a copy of what is stored about the group.
func (g *Group) record() groupRecord {
	g.mu.Lock()
	defer g.mu.Unlock()
	return *g.rec
}

func (g *Group) roles() ace.Roles {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.rec.roles()
}

// using returns what the epoch is used with, nil if there is none.
func (g *Group) using() *live {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.live
}

// current returns what protects messages, or why nothing may be sent now.
func (g *Group) current() (*live, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.ended != nil:
		return nil, g.ended
	case g.inactive:
		return nil, fmt.Errorf("%w: %s", ErrInactive, g.name)
	case g.live == nil:
		return nil, fmt.Errorf("%w: group %s", ErrStaleKey, g.name)
	case !g.d.now().Before(g.expires):
		g.wake()
		return nil, fmt.Errorf("%w: group %s: expired", ErrStaleKey, g.name)
	}
	return g.live, nil
}

// start runs what goes on by itself in the group; false after Close.
func (g *Group) start() bool {
	ok := g.d.background(g.run)
	if ok && g.d.cfg.Rekeying.observes() {
		ok = g.d.background(g.follow)
	}
	return ok
}

// wake has the goroutine of the group look for work. It never blocks.
func (g *Group) wake() {
	select {
	case g.kick <- struct{}{}:
	default:
	}
}

// begin takes the turn to change the group, and holds up Close meanwhile.
func (g *Group) begin(ctx context.Context) (end func(), err error) {
	if !g.d.begin() {
		return nil, ErrClosed
	}
	if err := g.change.take(ctx); err != nil {
		g.d.wg.Done()
		return nil, err
	}
	return func() {
		g.change.leave()
		g.d.wg.Done()
	}, nil
}

// end finishes the membership: keys are dropped in memory, then in the store.
// Once begun it is not interrupted: keys must not survive it.
func (g *Group) end(ctx context.Context, why error) error {
	ctx = context.WithoutCancel(ctx)
	g.mu.Lock()
	if g.ended != nil {
		g.mu.Unlock()
		<-g.done // somebody else is at it
		return nil
	}
	g.ended = why
	addr, aerr := netip.ParseAddrPort(g.rec.Address)
	g.mu.Unlock()
	g.retire()
	if aerr == nil {
		_ = g.d.ep.LeaveGroup(endpoint.MulticastGroup{Addr: addr, Interface: g.d.cfg.Interface})
	}
	err := g.delete(ctx)
	g.d.mu.Lock()
	if g.d.groups[g.name] == g {
		delete(g.d.groups, g.name)
	}
	g.d.mu.Unlock()
	close(g.done)
	return err
}

// evicted ends the membership as the Group Manager wants it.
func (g *Group) evicted(ctx context.Context) error {
	if err := g.end(ctx, ErrEvicted); err != nil {
		return errors.Join(ErrEvicted, fmt.Errorf("the keys of group %s are not deleted: %w", g.name, err))
	}
	g.event(EventEvicted)
	return ErrEvicted
}

// listen makes a member that answers or looks on part of the multicast group.
func (g *Group) listen() error {
	rec := g.record()
	if rec.Address == "" || !rec.serves() {
		return nil
	}
	addr, err := netip.ParseAddrPort(rec.Address)
	if err != nil {
		return err
	}
	return g.d.ep.JoinGroup(endpoint.MulticastGroup{Addr: addr, Interface: g.d.cfg.Interface})
}
