package member_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/mux"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/api/coap"
	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/authserver"
	"github.com/cohort-iot/cohort/internal/manager"
	"github.com/cohort-iot/cohort/internal/netsim"
	"github.com/cohort-iot/cohort/keystore"
	"github.com/cohort-iot/cohort/keystore/keystoretest"
	"github.com/cohort-iot/cohort/member"
)

const (
	requester = ace.RoleRequester
	responder = ace.RoleResponder
	monitor   = ace.RoleMonitor
	both      = requester | responder
)

const audience = "gm1"

var dataKey = bytes.Repeat([]byte{5}, keystore.DataKeySize)

// world is an Authorization Server with a Group Manager and any number of
// devices, in one process.
type world struct {
	t     *testing.T
	net   *netsim.Network // nil: real sockets
	addr  netip.AddrPort  // of the servers
	group netip.AddrPort  // multicast address of every group
	iface string
	rig   func(*manager.Options)
	// anchors gives each device an anchor outside its state.
	anchors bool
	// patient lets devices wait longer for their servers.
	patient bool

	mem      *keystore.Memory
	store    *keystore.Store
	as       *authserver.Service
	gm       *manager.Service
	server   *coap.Server
	sessions *coap.Sessions
	ep       *endpoint.Endpoint
	up       bool

	octet   byte
	devices []*device

	asking sync.Mutex
	asked  []asked
	// instead, if not nil, answers in place of the servers where it returns true.
	instead func(a asked, w mux.ResponseWriter) bool
}

// asked is a request that came to the servers, after it was verified.
type asked struct {
	code    codes.Code
	path    string
	payload []byte
}

// witness keeps what the servers are asked.
func (w *world) witness(h mux.Handler) mux.Handler {
	return mux.HandlerFunc(func(rw mux.ResponseWriter, r *mux.Message) {
		path, _ := r.Path()
		body, _ := r.ReadBody()
		a := asked{r.Code(), path, body}
		w.asking.Lock()
		w.asked = append(w.asked, a)
		instead := w.instead
		w.asking.Unlock()
		if instead == nil || !instead(a, rw) {
			h.ServeCOAP(rw, r)
		}
	})
}

// requests returns those to one resource.
func (w *world) requests(code codes.Code, path string) (list []asked) {
	w.asking.Lock()
	defer w.asking.Unlock()
	for _, a := range w.asked {
		if a.code == code && a.path == path {
			list = append(list, a)
		}
	}
	return list
}

// simulate runs f in a world on a simulated network under fake time. That
// nothing keeps running at the end is checked by synctest.
func simulate(t *testing.T, f func(t *testing.T, w *world)) {
	simulateOn(t, netsim.Config{Delay: time.Millisecond}, f)
}

func simulateOn(t *testing.T, cfg netsim.Config, f func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{
			t: t, net: netsim.New(cfg), addr: netip.MustParseAddrPort("10.0.0.1:5683"),
			group: netip.MustParseAddrPort("239.192.7.1:5683"), octet: 1,
		}
		w.begin()
		f(t, w)
	})
}

// begin starts the servers on a fresh store.
func (w *world) begin() {
	w.t.Helper()
	w.mem = keystore.NewMemory()
	w.start(false)
	w.t.Cleanup(func() {
		for _, d := range w.devices {
			d.stop()
		}
		w.stop()
	})
}

func (w *world) check(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// start runs the servers on what is in w.mem. keep says whether associations of
// a run before go on.
func (w *world) start(keep bool) {
	w.t.Helper()
	ctx := w.t.Context()
	var err error
	w.store, err = keystore.Open(w.mem, keystore.Options{DataKey: dataKey})
	w.check(err)
	uri := "coap://" + w.addr.String()
	w.as, err = authserver.New(authserver.Config{Issuer: "as", TokenURI: uri + "/token"}, w.store)
	w.check(err)
	trusted, err := w.as.TrustedAS(audience)
	if errors.Is(err, authserver.ErrNotFound) {
		var one ace.TrustedAS
		one, err = w.as.RegisterRS(ctx, authserver.RSRequest{Audience: audience, URI: uri, Lifetime: 10 * time.Hour})
		trusted = []ace.TrustedAS{one}
	}
	w.check(err)
	store := w.store
	w.sessions, err = coap.NewSessions(coap.SessionsConfig{
		Contexts: &endpoint.Contexts{},
		Sequence: func(a uint64) coap.SequenceStore { return store.Sequence(manager.AssociationSequence(a)) },
	})
	w.check(err)
	o := manager.Options{Rand: rand.Reader, Delivery: w.sessions, Observers: w.sessions, Sessions: w.sessions, KeepAssociations: keep}
	if w.rig != nil {
		w.rig(&o)
	}
	w.gm, err = manager.New(w.store, o)
	w.check(err)
	w.server, err = coap.New(coap.Config{
		Manager: w.gm, Sessions: w.sessions, Audience: audience, Issuers: trusted, Revoked: w.as.TokenRevoked, AS: w.as, TokenURI: uri + "/token",
	})
	w.check(err)
	w.ep, err = endpoint.New(endpoint.Config{Unicast: w.addr, Network: w.network(), Handler: w.witness(w.server.Handler()), Openers: w.server.Openers()})
	w.check(err)
	w.addr = w.ep.LocalAddr()
	w.sessions.Attach(w.ep)
	w.check(w.gm.Start(ctx))
	if keep {
		w.check(w.sessions.Load(ctx, w.gm))
	}
	w.up = true
}

func (w *world) network() endpoint.Network {
	if w.net == nil {
		return nil
	}
	return w.net
}

func (w *world) stop() {
	if !w.up {
		return
	}
	w.up = false
	w.server.Close()
	_ = w.ep.Close()
	w.gm.Stop()
	_ = w.store.Close()
}

// restart ends the servers without a clean stop and starts them again.
func (w *world) restart(keep bool) {
	w.t.Helper()
	copied := w.mem.Clone()
	w.stop()
	w.mem = copied
	w.start(keep)
}

// newGroup creates a group.
func (w *world) newGroup(name string, rig func(*manager.GroupConfig)) {
	w.t.Helper()
	spec := manager.GroupSpec{Name: name, Active: true}
	if rig != nil {
		rig(&spec.Config)
	}
	_, err := w.gm.CreateGroup(w.t.Context(), spec)
	w.check(err)
}

func (w *world) rekey(name string) {
	w.t.Helper()
	_, err := w.gm.Rekey(w.t.Context(), name, manager.CauseOperator)
	w.check(err)
}

func (w *world) version(name string) uint64 {
	w.t.Helper()
	g, err := w.gm.Group(w.t.Context(), name)
	w.check(err)
	return g.Version
}

// node returns the membership of a device as the Group Manager has it.
func (w *world) node(group, device string) (manager.MemberInfo, bool) {
	w.t.Helper()
	list, err := w.gm.Members(w.t.Context(), group)
	w.check(err)
	for _, m := range list {
		if m.Client == device {
			return m, true
		}
	}
	return manager.MemberInfo{}, false
}

func (w *world) evict(group, device string) {
	w.t.Helper()
	m, ok := w.node(group, device)
	if !ok {
		w.t.Fatalf("%s is no member of %s", device, group)
	}
	_, err := w.gm.Evict(w.t.Context(), group, m.Node, manager.CauseEviction)
	w.check(err)
}

// device is a device and its state.
type device struct {
	*member.Device
	w      *world
	name   string
	addr   netip.AddrPort
	enrol  *ace.Enrolment
	adjust func(*member.Config)
	anchor keystore.Anchor
	mem    *keystore.Memory
	store  *keystore.Store
	disk   *keystoretest.Faulty
	light  *light
	drops  endpoint.Counters

	mu     sync.Mutex
	events []member.Event
	told   chan struct{}
}

func grant(group string, r ace.Roles) authserver.Grant {
	return authserver.Grant{Audience: audience, Pattern: group, Roles: r}
}

func grants(group string, r ace.Roles) []authserver.Grant { return []authserver.Grant{grant(group, r)} }

// addrOf is an address on the network of the servers.
func (w *world) addrOf(octet byte) netip.AddrPort {
	host := w.addr.Addr().As4()
	host[3] = octet
	return netip.AddrPortFrom(netip.AddrFrom4(host), 5683)
}

// device enrols a device and starts it.
func (w *world) device(name string, roles ace.Roles) *device {
	w.t.Helper()
	return w.deviceWith(name, nil, grant("*", roles))
}

func (w *world) deviceWith(name string, adjust func(*member.Config), grants ...authserver.Grant) *device {
	w.t.Helper()
	e, err := w.as.Enrol(w.t.Context(), authserver.EnrolRequest{Name: name, Audience: audience, Grants: grants})
	w.check(err)
	w.octet++
	addr := w.addrOf(w.octet)
	if w.net == nil {
		addr = netip.AddrPortFrom(addr.Addr(), 0)
	}
	d := &device{
		w: w, name: name, addr: addr, enrol: e, adjust: adjust,
		mem: keystore.NewMemory(), told: make(chan struct{}, 1),
	}
	if w.anchors {
		d.anchor = &memoryAnchor{}
	}
	w.devices = append(w.devices, d)
	d.open()
	return d
}

// open starts the device on what is in its memory.
func (d *device) open() {
	d.w.t.Helper()
	d.w.check(d.tryOpen())
}

func (d *device) tryOpen() error {
	var err error
	d.disk = keystoretest.NewFaulty(d.mem)
	if d.store, err = keystore.Open(d.disk, keystore.Options{DataKey: dataKey, Anchor: d.anchor}); err != nil {
		return err
	}
	d.light = &light{value: "off"}
	m := endpoint.NewMux()
	m.Handle("/light", endpoint.AcceptGroup|endpoint.AcceptPairwise, endpoint.Observable(d.light))
	cfg := member.Config{
		Enrolment: d.enrol, Store: d.store, Listen: d.addr, Interface: d.w.iface, Network: d.w.network(),
		Leisure: 100 * time.Millisecond, ProbingRate: 1 << 20, OnEvent: d.event, Meter: &d.drops,
	}
	if d.w.patient {
		cfg.Timeout = 2 * time.Minute
	}
	if d.adjust != nil {
		d.adjust(&cfg)
	}
	if d.Device, err = member.Open(d.w.t.Context(), cfg, m); err != nil {
		return errors.Join(err, d.store.Close())
	}
	if d.addr.Port() == 0 {
		d.addr = d.Addr()
	}
	return nil
}

// stop ends the device cleanly.
func (d *device) stop() {
	if d.Device == nil {
		return
	}
	if err := errors.Join(d.Close(), d.store.Close()); err != nil {
		d.w.t.Errorf("%s: %v", d.name, err)
	}
	d.Device = nil
}

// crash ends the device as a loss of power does: what follows is not stored.
func (d *device) crash() {
	kept := d.mem.Clone()
	d.stop()
	d.mem = kept
	if d.w.net != nil {
		time.Sleep(time.Second) // what it sent has arrived before it is back
	}
}

func (d *device) event(e member.Event) {
	d.mu.Lock()
	d.events = append(d.events, e)
	d.mu.Unlock()
	select {
	case d.told <- struct{}{}:
	default:
	}
}

// count returns how often something happened.
func (d *device) count(k member.EventKind) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := 0
	for _, e := range d.events {
		if e.Kind == k {
			n++
		}
	}
	return n
}

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// await waits until something has happened n times.
func (d *device) await(k member.EventKind, n int) {
	d.w.t.Helper()
	d.awaitFor(k, n, patience)
}

func (d *device) awaitFor(k member.EventKind, n int, most time.Duration) {
	d.w.t.Helper()
	late := time.After(most)
	for d.count(k) < n {
		select {
		case <-d.told:
		case <-late:
			d.w.t.Fatalf("%s: event %v happened %d times, want %d; events %v", d.name, k, d.count(k), n, d.all())
		}
	}
}

func (d *device) all() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := ""
	for _, e := range d.events {
		s += fmt.Sprintf("%v(%s v%d %x) ", e.Kind, e.Group, e.Version, e.SenderID)
	}
	return s
}

// join makes the device a member.
func (d *device) join(group string, roles ace.Roles) *member.Group {
	d.w.t.Helper()
	g, err := d.Join(d.w.t.Context(), member.JoinOptions{Group: group, Roles: roles, Address: d.w.group})
	if err != nil {
		d.w.t.Fatalf("%s: %v", d.name, err)
	}
	return g
}

// of returns a group the device is in.
func (d *device) of(group string) *member.Group {
	d.w.t.Helper()
	g, err := d.Group(group)
	if err != nil {
		d.w.t.Fatalf("%s: %v", d.name, err)
	}
	return g
}

// ask sends GET /light to the group and returns the answers by name.
func (d *device) ask(group string) map[string]*member.Answer {
	d.w.t.Helper()
	ctx, cancel := context.WithTimeout(d.w.t.Context(), 3*time.Second)
	defer cancel()
	out := map[string]*member.Answer{}
	for a, err := range d.of(group).Request(ctx, member.Request{Code: codes.GET, Path: "/light"}) {
		if err != nil {
			d.w.t.Fatalf("%s: %v", d.name, err)
		}
		out[a.Sender.Name] = a
	}
	return out
}

// answers asks until the named members, and nobody else, answer.
func (d *device) answers(group string, names ...string) map[string]*member.Answer {
	d.w.t.Helper()
	got := d.ask(group)
	for _, n := range names {
		if a := got[n]; a == nil || a.Code != codes.Content {
			d.w.t.Errorf("%s: no answer of %s, but of %d others", d.name, n, len(got))
		}
	}
	if len(got) != len(names) {
		d.w.t.Errorf("%s: %d answers, want %d", d.name, len(got), len(names))
	}
	return got
}

// set sends PUT /light to one member, in pairwise mode.
func (d *device) set(group, name, value string) (*member.Answer, error) {
	d.w.t.Helper()
	p, err := d.of(group).FindPeer(name)
	if err != nil {
		return nil, err
	}
	for _, o := range d.w.devices {
		if o.name == name {
			p.Addr = o.addr
		}
	}
	ctx, cancel := context.WithTimeout(d.w.t.Context(), patience)
	defer cancel()
	return d.of(group).Unicast(ctx, p, member.Request{Code: codes.PUT, Path: "/light", Payload: []byte(value)})
}

// current reports whether the device has the group's present version in use.
func (d *device) current(group string) bool {
	st := d.of(group).Status()
	return !st.Stale && st.Version == d.w.version(group)
}

// light is a resource.
type light struct {
	mu     sync.Mutex
	value  string
	served int
	peers  []endpoint.Peer
}

func (l *light) ServeCOAP(w mux.ResponseWriter, r *mux.Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.served++
	p, _ := endpoint.PeerFrom(r.Context())
	l.peers = append(l.peers, p)
	if r.Code() == codes.PUT {
		b, _ := r.ReadBody()
		l.value = string(b)
		_ = w.SetResponse(codes.Changed, message.TextPlain, nil)
		return
	}
	_ = w.SetResponse(codes.Content, message.TextPlain, bytes.NewReader([]byte(l.value)))
}

func (l *light) state() (value string, served int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.value, l.served
}
