package main

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/api/coap"
	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/clock"
	"github.com/cohort-iot/cohort/internal/manager"
	"github.com/cohort-iot/cohort/keystore"
	"github.com/cohort-iot/cohort/keystore/boltstore"
	"github.com/cohort-iot/cohort/oscore"
)

// How many there are for each round: 100 rounds give the numbers of the goals.
const (
	storedPerRound  = 200  // members that are there already when others join
	devicesPerRound = 100  // devices in the other process
	startPerRound   = 1000 // members that a start finds
	clients         = 256  // devices that ask at once
	floodRate       = 10_000
)

// managerSuite measures a whole Group Manager: sockets, cryptography and a store
// on the disk in this process, devices with their own cryptography and a socket
// each in another one.
func managerSuite(m *meter) (_ []figure, err error) {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	g, err := openManager(filepath.Join(dir, "store.db"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, g.close()) }()
	d, err := startDevices(g)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	devices := devicesPerRound * m.rounds
	for _, name := range []string{"big", "lamps", "flood"} {
		if _, err := g.svc.CreateGroup(context.Background(), manager.GroupSpec{Name: name, Active: true}); err != nil {
			return nil, err
		}
	}
	if err := g.populate("big", storedPerRound*m.rounds); err != nil {
		return nil, err
	}
	before := live()
	if _, err := d.do("associate", "", devices); err != nil {
		return nil, err
	}
	floor, err := signAndVerify(m)
	if err != nil {
		return nil, err
	}
	var out []figure
	joins, err := g.joins(d, "lamps", devices)
	if err != nil {
		return nil, err
	}
	perMember := (live() - before) / float64(devices)
	big, err := g.joins(d, "big", devices)
	if err != nil {
		return nil, err
	}
	limit := big.limit()
	out = append(out,
		atMost(fmt.Sprintf("join with %d members stored, server CPU", storedPerRound*m.rounds), big.cpu, floor, "µs", 150),
		atLeast("joins a second (limit: "+limit+")", big.rate, 5000),
		atMostTimes("join with many members beside one with none", big.cpu, joins.cpu, "µs", 1.15),
	)
	idle, err := g.idleJoin(d)
	if err != nil {
		return nil, err
	}
	out = append(out, count("fsyncs of one join on an idle server", idle.syncs, "fsyncs", 3), shown("one join on an idle server, round trip", idle.took, floor, "µs"))
	rekey, err := g.rekey(d, "lamps", devices)
	if err != nil {
		return nil, err
	}
	out = append(out,
		count(fmt.Sprintf("rekey of %d members until all confirmed (limit: %s)", devices, rekey.limit), rekey.took, "s", 4*float64(devices)/10_000),
		count("p99 of other requests meanwhile", rekey.p99, "ms", 50),
		count("memory of one member with its association", perMember, "bytes", 4096),
	)
	flood, err := g.flood(d, min(devices, 2000))
	if err != nil {
		return nil, err
	}
	out = append(out, atLeast(fmt.Sprintf("share of joins left under %d unauthorised ones a second", floodRate), flood, 0.8))
	start, err := g.restart(startPerRound * m.rounds)
	if err != nil {
		return nil, err
	}
	return append(out, count(fmt.Sprintf("start with %d members", startPerRound*m.rounds), start, "s", 3)), nil
}

// atLeast is a figure whose goal is a lower bound.
func atLeast(name string, value, limit float64) figure {
	return figure{Name: name, Value: value, Unit: "", Goal: fmt.Sprintf("≥ %g", limit), Met: value >= limit}
}

// signAndVerify is the floor of a join: one verification, one signature, in µs.
func signAndVerify(m *meter) (float64, error) {
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return 0, err
	}
	msg := make([]byte, 40)
	sig := ed25519.Sign(priv, msg)
	o := &op{name: "sign and verify", do: func(int) error {
		ed25519.Sign(priv, msg)
		if !ed25519.Verify(pub, msg, sig) {
			return errors.New("does not verify")
		}
		return nil
	}}
	err = (&meter{rounds: min(m.rounds, 20)}).time(o)
	return o.fastest / 1000, err
}

// managed is a Group Manager with its store.
type managed struct {
	path    string
	store   *keystore.Store
	svc     *manager.Service
	srv     *coap.Server
	ep      *endpoint.Endpoint
	key     ace.TokenKey
	commits atomic.Int64
}

const benchAudience = "gm"

func openManager(path string) (*managed, error) {
	g := &managed{path: path, key: ace.TokenKey{KID: []byte{1}, Alg: cose.AlgAESCCM16_128_128, Key: make([]byte, 16)}}
	return g, g.open()
}

func (g *managed) open() error {
	b, err := boltstore.Open(g.path)
	if err != nil {
		return err
	}
	if g.store, err = keystore.Open(b, keystore.Options{DataKey: make([]byte, 32), OnCommit: func(keystore.Commit) { g.commits.Add(1) }}); err != nil {
		return err
	}
	store := g.store
	sessions, err := coap.NewSessions(coap.SessionsConfig{
		Contexts: &endpoint.Contexts{},
		Sequence: func(a uint64) coap.SequenceStore { return store.Sequence(manager.AssociationSequence(a)) },
	})
	if err != nil {
		return err
	}
	if g.svc, err = manager.New(g.store, manager.Options{Rand: rand.Reader, Delivery: sessions, Sessions: sessions, Observers: sessions}); err != nil {
		return err
	}
	g.srv, err = coap.New(coap.Config{
		Manager: g.svc, Sessions: sessions, Audience: benchAudience, Issuers: []ace.TrustedAS{{Issuer: "as", Key: g.key}}, Clock: clock.System(), MaxPending: 4 * clients,
	})
	if err != nil {
		return err
	}
	g.ep, err = endpoint.New(endpoint.Config{Unicast: netip.MustParseAddrPort("127.0.0.1:0"), Handler: g.srv.Handler(), Openers: g.srv.Openers(), Workers: clients})
	if err != nil {
		return err
	}
	sessions.Attach(g.ep)
	return g.svc.Start(context.Background())
}

func (g *managed) close() error {
	g.srv.Close()
	err := g.ep.Close()
	g.svc.Stop()
	return errors.Join(err, g.store.Close())
}

// populate makes members without the network, as if they had joined.
func (g *managed) populate(group string, n int) error {
	var eg errgroup.Group
	eg.SetLimit(clients)
	for i := range n {
		eg.Go(func() error { return g.member(group, fmt.Sprintf("%s-%d", group, i)) })
	}
	return eg.Wait()
}

func (g *managed) member(group, name string) error {
	ctx := context.Background()
	key, err := cose.GenerateKey(cose.CurveEd25519, rand.Reader)
	if err != nil {
		return err
	}
	cred, err := cose.NewCCS(name, key.Public())
	if err != nil {
		return err
	}
	a := &ace.Association{
		Token: ace.Token{
			Hash: ace.HashToken([]byte(name)), Issuer: "as", Client: name, Scope: ace.Scope{{Group: group, Roles: ace.RoleResponder}},
			Expires: time.Now().Add(time.Hour), Challenge: make([]byte, 8), Material: ace.OSCOREInputMaterial{ID: []byte(name)},
		},
		Params: oscore.Params{MasterSecret: make([]byte, 16), SenderID: []byte{1}, RecipientID: []byte{2}},
	}
	if _, err := g.svc.Confirm(ctx, a); err != nil {
		return err
	}
	client, err := g.svc.ClientOf(a.Number)
	if err != nil {
		return err
	}
	q, err := joinRequest(group, key, cred, a.Token.Challenge, "")
	if err != nil {
		return err
	}
	_, err = g.svc.Join(ctx, manager.Caller{Client: client, Association: a.Number, Addr: netip.MustParseAddrPort("127.0.0.1:5683")}, group, q)
	return err
}

// joinRequest makes a request with its proof of possession.
func joinRequest(group string, key *cose.PrivateKey, cred *cose.Credential, ns []byte, control string) ([]byte, error) {
	q := &groupcomm.JoinRequest{
		Entry: ace.ScopeEntry{Group: group, Roles: ace.RoleResponder}, Nonce: make([]byte, 8), Credential: cred.Bytes(), ControlURI: control,
	}
	if _, err := rand.Read(q.Nonce); err != nil {
		return nil, err
	}
	q.Scope = groupcomm.EncodeScope(q.Entry)
	var err error
	q.Evidence, err = groupcomm.SignEvidence(key, cose.AlgEdDSA, groupcomm.ClientPoP(q.Scope, ns, q.Nonce))
	return q.Marshal(), err
}

// load is what a task cost this process.
type load struct {
	cpu    float64 // µs an operation
	rate   float64 // operations a second
	busy   float64 // share of the machine, both processes and others
	synced float64 // share of the time in which a commit was on its way, estimated
}

func (l load) limit() string {
	if l.busy > 0.85 {
		return "CPU"
	}
	if l.synced > 0.5 {
		return "fsync"
	}
	return "network and scheduling"
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// machine reads how much time all processors spent, and idle, in ticks.
func machine() (all, idle float64) {
	f, err := os.Open("/proc/stat")
	if err != nil {
		return 0, 0
	}
	defer f.Close()
	var name string
	var v [8]float64
	if _, err := fmt.Fscan(f, &name, &v[0], &v[1], &v[2], &v[3], &v[4], &v[5], &v[6], &v[7]); err != nil {
		return 0, 0
	}
	for _, x := range v {
		all += x
	}
	return all, v[3] + v[4]
}

// measured runs a task of n operations.
func (g *managed) measured(n int, f func() (time.Duration, error)) (load, time.Duration, error) {
	cpu, commits := cpuTime(), g.commits.Load()
	all, idle := machine()
	took, err := f()
	if err != nil {
		return load{}, 0, err
	}
	all2, idle2 := machine()
	l := load{
		cpu:  float64((cpuTime() - cpu).Microseconds()) / float64(n),
		rate: float64(n) / took.Seconds(),
	}
	if all2 > all {
		l.busy = 1 - (idle2-idle)/(all2-all)
	}
	l.synced = float64(g.commits.Load()-commits) * commitTime.Seconds() / took.Seconds()
	return l, took, nil
}

// commitTime is what one commit takes, about, on a disk that is fast at fsync.
const commitTime = time.Millisecond

func (g *managed) joins(d *devices, group string, n int) (load, error) {
	l, _, err := g.measured(n, func() (time.Duration, error) { return d.do("join", group, n) })
	return l, err
}

type idleJoin struct{ syncs, took float64 }

// idleJoin lets one device join again, alone. A commit of the store's backend is
// two fsyncs: the data, then what makes it valid.
func (g *managed) idleJoin(d *devices) (idleJoin, error) {
	time.Sleep(300 * time.Millisecond) // what the joins left to be written
	const tries = 20
	best := idleJoin{syncs: 1e9, took: 1e9}
	for range tries {
		before := g.commits.Load()
		took, err := d.do("join", "lamps", 1)
		if err != nil {
			return best, err
		}
		best.syncs = min(best.syncs, 2*float64(g.commits.Load()-before))
		best.took = min(best.took, float64(took.Microseconds()))
	}
	return best, nil
}

type rekeyed struct {
	took, p99 float64
	limit     string
}

// rekey rekeys a group and waits until every member has confirmed.
func (g *managed) rekey(d *devices, group string, n int) (rekeyed, error) {
	var out rekeyed
	var probe sync.WaitGroup
	var probed time.Duration
	var perr error
	probe.Go(func() { probed, perr = d.do("probe", group, 1) })
	l, took, err := g.measured(n, func() (time.Duration, error) {
		start := time.Now()
		if _, err := g.svc.Rekey(context.Background(), group, manager.CauseOperator); err != nil {
			return 0, err
		}
		for {
			p, err := g.svc.Pending(context.Background(), group)
			if err != nil {
				return 0, err
			}
			if len(p) == 0 {
				return time.Since(start), nil
			}
			if time.Since(start) > 5*time.Minute {
				return 0, fmt.Errorf("%d members have not confirmed", len(p))
			}
			time.Sleep(50 * time.Millisecond)
		}
	})
	if err != nil {
		return out, err
	}
	if err := d.tell("end"); err != nil {
		return out, err
	}
	probe.Wait()
	return rekeyed{took.Seconds(), float64(probed.Microseconds()) / 1000, l.limit()}, perr
}

// flood gives the throughput of joins under a flood of others beside that without.
func (g *managed) flood(d *devices, n int) (float64, error) {
	alone, err := d.do("join", "flood", n)
	if err != nil {
		return 0, err
	}
	crowded, err := d.do("flooded", "flood", n)
	if err != nil {
		return 0, err
	}
	return alone.Seconds() / crowded.Seconds(), nil
}

// restart fills the store, closes it and times the way until everything is served
// again.
func (g *managed) restart(members int) (float64, error) {
	if _, err := g.svc.CreateGroup(context.Background(), manager.GroupSpec{Name: "many", Active: true}); err != nil {
		return 0, err
	}
	if err := g.populate("many", members); err != nil {
		return 0, err
	}
	if err := g.close(); err != nil {
		return 0, err
	}
	start := time.Now()
	err := g.open()
	return time.Since(start).Seconds(), err
}

// devices is the other process.
type devices struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
	mu  sync.Mutex
}

// order is one line to the other process, report one line back.
type order struct {
	Do    string
	Group string
	N     int
}

type report struct {
	Took time.Duration
	Err  string
}

const devicesEnv = "COHORT_BENCH_DEVICES"

func startDevices(g *managed) (*devices, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), devicesEnv+"="+g.ep.LocalAddr().String())
	cmd.Stderr = os.Stderr
	d := &devices{cmd: cmd}
	if d.in, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	d.out = bufio.NewReader(out)
	return d, cmd.Start()
}

func (d *devices) close() error {
	return errors.Join(d.in.Close(), d.cmd.Wait())
}

func (d *devices) tell(do string) error { return json.NewEncoder(d.in).Encode(order{Do: do}) }

func (d *devices) do(do, group string, n int) (time.Duration, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := json.NewEncoder(d.in).Encode(order{do, group, n}); err != nil {
		return 0, err
	}
	line, err := d.out.ReadBytes('\n')
	if err != nil {
		return 0, fmt.Errorf("devices: %s: %w", do, err)
	}
	var r report
	if err := json.Unmarshal(line, &r); err != nil {
		return 0, err
	}
	if r.Err != "" {
		return 0, fmt.Errorf("devices: %s: %s", do, r.Err)
	}
	return r.Took, nil
}
