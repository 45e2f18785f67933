package manager

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/clock"
	"github.com/cohort-iot/cohort/keystore"
	"github.com/cohort-iot/cohort/oscore"
)

const (
	requester = ace.RoleRequester
	responder = ace.RoleResponder
	monitor   = ace.RoleMonitor
	verifier  = ace.RoleVerifier
)

// start is the time at which every test begins.
var start = time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)

// world is a Group Manager's domain over a store in memory, with a clock that
// only moves when told and a network that answers as told.
type world struct {
	*Service
	t     *testing.T
	clock *clock.Fake
	store *keystore.Store
	mem   *keystore.Memory
	net   *fakeNetwork
	rig   func(*Options)
	disk  keystore.Options
}

func newWorld(t *testing.T, rig func(*Options)) *world {
	t.Helper()
	w := &world{t: t, clock: clock.NewFake(start), mem: keystore.NewMemory(), net: newFakeNetwork(), rig: rig}
	w.disk.DataKey = dataKey
	w.open()
	return w
}

func newAnchoredWorld(t *testing.T, a keystore.Anchor) *world {
	t.Helper()
	w := &world{t: t, clock: clock.NewFake(start), mem: keystore.NewMemory(), net: newFakeNetwork()}
	w.disk = keystore.Options{DataKey: dataKey, Anchor: a}
	w.open()
	return w
}

// dataKey seals the stores of tests.
var dataKey = bytes.Repeat([]byte{7}, 32)

func (w *world) open() {
	w.t.Helper()
	st, err := keystore.Open(w.mem, w.disk)
	if err != nil {
		w.t.Fatal(err)
	}
	o := Options{Clock: w.clock, Rand: rand.Reader, Delivery: w.net, Sessions: w.net}
	if w.rig != nil {
		w.rig(&o)
	}
	s, err := New(st, o)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := s.Start(context.Background()); err != nil {
		w.t.Fatal(err)
	}
	w.Service, w.store = s, st
	w.t.Cleanup(func() {
		s.Stop()
		_ = st.Close()
	})
}

// restart ends the process without a clean stop and starts another one on what
// was durable.
func (w *world) restart() {
	w.t.Helper()
	copied := w.mem.Clone()
	w.Stop()
	_ = w.store.Close()
	w.mem = copied
	w.open()
}

func (w *world) group(name string, rig func(*GroupConfig)) GroupInfo {
	w.t.Helper()
	spec := GroupSpec{Name: name, Active: true}
	if rig != nil {
		rig(&spec.Config)
	}
	g, err := w.CreateGroup(context.Background(), spec)
	if err != nil {
		w.t.Fatal(err)
	}
	return g
}

func (w *world) info(name string) GroupInfo {
	w.t.Helper()
	g, err := w.Group(context.Background(), name)
	if err != nil {
		w.t.Fatal(err)
	}
	return g
}

// device is a client with a token and a key pair.
type device struct {
	w      *world
	name   string
	caller Caller
	ns     []byte
	key    *cose.PrivateKey
	cred   *cose.Credential
	hash   ace.TokenHash
}

var deviceAddr = netip.MustParseAddrPort("127.0.0.2:5683")

// device makes a client whose token has the given scope and lasts for a day.
func (w *world) device(name string, crv cose.Curve, scope ...ace.ScopeEntry) *device {
	w.t.Helper()
	d := &device{w: w, name: name}
	if crv != 0 {
		var err error
		if d.key, err = cose.GenerateKey(crv, rand.Reader); err != nil {
			w.t.Fatal(err)
		}
		if d.cred, err = cose.NewCCS(name, d.key.Public()); err != nil {
			w.t.Fatal(err)
		}
	}
	d.hash = ace.TokenHash(append([]byte{1}, sha256sum(name)...))
	d.post(24*time.Hour, scope...)
	return d
}

func sha256sum(s string) []byte {
	h := sha256.Sum256([]byte(s))
	return h[:]
}

// post gives the Group Manager a token and confirms the association.
func (d *device) post(life time.Duration, scope ...ace.ScopeEntry) (superseded []uint64) {
	d.w.t.Helper()
	d.ns = make([]byte, 8)
	_, _ = rand.Read(d.ns)
	a := &ace.Association{
		Token: ace.Token{
			Hash: d.hash, Issuer: "as", Client: d.name, Scope: scope, Expires: d.w.clock.Now().Add(life), Challenge: d.ns,
			Material: ace.OSCOREInputMaterial{ID: []byte(d.name)},
		},
		Params: oscore.Params{MasterSecret: []byte("secret of " + d.name), MasterSalt: d.ns, SenderID: []byte{1}, RecipientID: []byte{2}},
	}
	superseded, err := d.w.Confirm(context.Background(), a)
	if err != nil {
		d.w.t.Fatal(err)
	}
	var c uint64
	err = d.w.view(func(r reader) (err error) {
		c, err = r.indexed(clientNames, identityText(&a.Token))
		return err
	})
	if err != nil || c == 0 {
		d.w.t.Fatalf("client %d, %v", c, err)
	}
	d.caller = Caller{Client: c, Association: a.Number, Addr: deviceAddr}
	return superseded
}

func entry(group string, r ace.Roles) ace.ScopeEntry { return ace.ScopeEntry{Group: group, Roles: r} }

// request makes a join request with a valid proof.
func (d *device) request(group string, r ace.Roles, rig func(q *groupcomm.JoinRequest)) []byte {
	d.w.t.Helper()
	nc := make([]byte, 8)
	_, _ = rand.Read(nc)
	q := &groupcomm.JoinRequest{Entry: entry(group, r), Nonce: nc, GetCreds: &groupcomm.CredsFilter{}, ControlURI: "coap://127.0.0.2/rekey"}
	q.Scope = groupcomm.EncodeScope(q.Entry)
	if r.Sends() {
		q.Credential = d.cred.Bytes()
		q.Evidence = d.evidence(group, groupcomm.ClientPoP(q.Scope, d.ns, nc))
	}
	if rig != nil {
		rig(q)
	}
	return q.Marshal()
}

// evidence proves possession of the device's key in the way of the group.
func (d *device) evidence(group string, input []byte) []byte {
	d.w.t.Helper()
	g := d.w.info(group)
	var b []byte
	var err error
	if g.Config.Modes.Signing() {
		alg := g.Config.Signature
		if d.key.Public().Curve() != g.Config.keyCurve() {
			alg = cose.AlgEdDSA // a device with a key that does not fit
		}
		b, err = groupcomm.SignEvidence(d.key, alg, input)
	} else {
		var gm *identity
		if gm, err = d.w.identity(g.Config.slot()); err == nil {
			b, err = groupcomm.MACEvidence(d.key, gm.credential.PublicKey(), input)
		}
	}
	if err != nil {
		d.w.t.Fatal(err)
	}
	return b
}

func (d *device) tryJoin(group string, r ace.Roles, rig func(q *groupcomm.JoinRequest)) (*JoinResult, error) {
	return d.w.Join(context.Background(), d.caller, group, d.request(group, r, rig))
}

func (d *device) join(group string, r ace.Roles) *JoinResult {
	d.w.t.Helper()
	res, err := d.tryJoin(group, r, nil)
	if err != nil {
		d.w.t.Fatalf("%s joins %s: %v", d.name, group, err)
	}
	return res
}

// lamp makes a device that is authorised as responder in a group, and joins.
func (w *world) lamp(name, group string) (*device, *JoinResult) {
	w.t.Helper()
	d := w.device(name, cose.CurveEd25519, entry(group, requester|responder))
	return d, d.join(group, responder)
}

func wantKind(t *testing.T, err error, want Kind) {
	t.Helper()
	if err == nil || KindOf(err) != want {
		t.Fatalf("got %v (kind %v), want kind %v", err, KindOf(err), want)
	}
}

// fakeNetwork is the Delivery port: it records what was sent and answers as told.
type fakeNetwork struct {
	mu      sync.Mutex
	rekeys  []sent
	evicted []MemberRef
	dropped []uint64
	stage   Stage // of every rekeying message; default confirmed
	deaf    map[string]bool
	arrived chan struct{}
}

type sent struct {
	to  MemberRef
	msg *groupcomm.RekeyMessage
}

func newFakeNetwork() *fakeNetwork {
	return &fakeNetwork{stage: StageConfirmed, deaf: map[string]bool{}, arrived: make(chan struct{}, 1024)}
}

func (n *fakeNetwork) Rekey(_ context.Context, m MemberRef, payload []byte) (Stage, error) {
	msg, err := groupcomm.ParseRekeyMessage(payload)
	if err != nil {
		return StageWaiting, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.rekeys = append(n.rekeys, sent{m, msg})
	n.arrived <- struct{}{}
	if n.deaf[m.Node] {
		return StageSent, context.DeadlineExceeded
	}
	return n.stage, nil
}

func (n *fakeNetwork) Evicted(_ context.Context, m MemberRef) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.evicted = append(n.evicted, m)
	n.arrived <- struct{}{}
	return nil
}

func (n *fakeNetwork) Drop(a uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.dropped = append(n.dropped, a)
}

// wait waits for the next n messages.
func (n *fakeNetwork) wait(t *testing.T, count int) {
	t.Helper()
	for range count {
		select {
		case <-n.arrived:
		case <-time.After(10 * time.Second):
			t.Fatal("no message left the Group Manager")
		}
	}
}

func (n *fakeNetwork) sentTo(node string) []*groupcomm.RekeyMessage {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []*groupcomm.RekeyMessage
	for _, s := range n.rekeys {
		if s.to.Node == node {
			out = append(out, s.msg)
		}
	}
	return out
}

// audit gives the audit log as text.
func (w *world) auditLog() string {
	var b bytes.Buffer
	err := w.store.AuditScan(0, func(_ uint64, record []byte) error {
		b.Write(record)
		b.WriteByte('\n')
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return b.String()
}

// eventually waits until f holds; f is polled because the loops of the Service
// run on their own goroutines.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !f() {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

func asError(err error, e **Error) bool { return errors.As(err, e) }

// member reads a membership, nil when there is none.
func (w *world) member(group, node string) (m *member) {
	w.t.Helper()
	n, _ := nodeNumber(node)
	err := w.view(func(r reader) error {
		h, err := r.group(group)
		if err != nil {
			return err
		}
		m, err = load[member](r, nameMember(h.Number, n))
		return ignoreNotFound(err)
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}
