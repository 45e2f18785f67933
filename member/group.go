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
	"github.com/cohort-iot/cohort/grouposcore"
)

// Group is the device's membership in one group. It is safe for concurrent
// use. After Leave or an eviction every call returns ErrNotMember.
type Group struct {
	d      *Device
	number uint64
	name   string
	dir    *directory

	kick chan struct{} // there may be work for the goroutine of the group
	done chan struct{} // closed when the membership ends

	change sync.Mutex // one change of epoch at a time; held over exchanges with the Group Manager

	mu     sync.Mutex
	rec    groupRecord
	ctx    *grouposcore.Group // nil before the first epoch and while stale
	ended  error              // why the membership is over
	wanted [][]byte           // Sender IDs whose credentials to fetch
	check  bool               // ask the Group Manager for the current version now
	hinted time.Time          // when an unknown Gid last caused a check
	back   bool               // resumed after a restart and not at work yet
}

func newGroup(d *Device, number uint64, rec groupRecord) *Group {
	return &Group{
		d: d, number: number, name: rec.Name, rec: rec,
		dir:  newDirectory(),
		kick: make(chan struct{}, 1),
		done: make(chan struct{}),
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
	Gid      []byte
	Version  uint64
	Expires  time.Time
	Stale    bool // the keys are outdated; the current ones are being fetched
	Peers    int
}

// Status returns the present state.
func (g *Group) Status() Status {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := Status{
		Group: g.name, Roles: g.rec.roles(), Node: g.rec.Node,
		SenderID: bytes.Clone(g.rec.Epoch.SenderID), Version: g.rec.Epoch.Version,
		Expires: time.Unix(g.rec.Epoch.Expires, 0).UTC(), Stale: g.rec.Stale || g.ctx == nil,
	}
	s.Address, _ = netip.ParseAddrPort(g.rec.Address)
	if k, err := groupcomm.ParseKeyMaterial(g.rec.Epoch.Material); err == nil {
		s.Gid = k.Gid
	}
	g.dir.mu.RLock()
	s.Peers = len(g.dir.byID)
	g.dir.mu.RUnlock()
	return s
}

// Peers returns the other members whose credentials the device has.
func (g *Group) Peers() []Peer { return g.dir.list() }

// Done is closed when the membership has ended.
func (g *Group) Done() <-chan struct{} { return g.done }

// Err is nil while the device is a member, then why it is none any more.
func (g *Group) Err() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.ended
}

// current returns what protects messages, or why nothing may be sent now.
func (g *Group) current() (*grouposcore.Group, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.ended != nil:
		return nil, g.ended
	case g.ctx == nil || g.rec.Stale:
		return nil, fmt.Errorf("%w: group %s", ErrStaleKey, g.name)
	case g.d.now().Unix() >= g.rec.Epoch.Expires:
		g.check = true
		g.wakeLocked()
		return nil, fmt.Errorf("%w: group %s: expired", ErrStaleKey, g.name)
	}
	return g.ctx, nil
}

func (g *Group) wake() {
	select {
	case g.kick <- struct{}{}:
	default:
	}
}

// wakeLocked is wake, for callers that hold mu; a send that cannot block may
// happen under it.
func (g *Group) wakeLocked() { g.wake() }

// end finishes the membership: keys are dropped in memory and in the store.
func (g *Group) end(ctx context.Context, why error) error {
	g.mu.Lock()
	if g.ended != nil {
		g.mu.Unlock()
		return nil
	}
	g.ended = why
	gctx := g.ctx
	g.ctx = nil
	addr, hasAddr := netip.ParseAddrPort(g.rec.Address)
	close(g.done)
	g.mu.Unlock()

	if gctx != nil {
		g.d.contexts.RemoveGroup(gctx)
	}
	if hasAddr == nil {
		_ = g.d.ep.LeaveGroup(endpoint.MulticastGroup{Addr: addr, Interface: g.d.cfg.Interface})
	}
	g.d.mu.Lock()
	if g.d.groups[g.name] == g {
		delete(g.d.groups, g.name)
	}
	g.d.mu.Unlock()
	return errors.Join(g.delete(ctx), g.deletePeers(ctx, nil))
}
